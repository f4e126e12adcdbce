/* toupper, tolower, strtoll, strtok and cleanpath, of literals and of variables. */
string text, token;
int tokens;

BEGIN
{
	text = "One,two;;THREE";
	printf("%s %s\n", toupper(text), tolower(text));
	printf("%d %d %d\n", strtoll("42"), strtoll(" -0x1f", 16), strtoll(text));
	printf("%s %s %s\n", cleanpath("/a/../b/./c"), cleanpath("a//b/.."), cleanpath("../../a/../b"));
}

BEGIN
/toupper(text) == "ONE,TWO;;THREE"/
{
	token = strtok(text, ",;");
	tokens += token != "";
	printf("[%s]", token);
	token = strtok(NULL, ",;");
	tokens += token != "";
	printf("[%s]", token);
	token = strtok(NULL, ",;");
	tokens += token != "";
	printf("[%s]", token);
	printf("[%d %d]\n", strtok(NULL, ",;") == NULL, tokens);
	@[tolower(substr(text, 8))] = count();
	exit(0);
}
