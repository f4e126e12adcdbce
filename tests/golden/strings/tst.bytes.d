/* Literals hold any bytes, in strings, formats and keys; what is no escape keeps its backslash. */
int seen[string];

BEGIN
{
	seen["\xff"] = 7;
	printf("%d %d %d\n", seen["\377"], seen["\xfe"], "\xff" == "\377");
	printf("%d %d\n", "\xff" > "a", strlen(strjoin("\xc3", "\xa9")));
	printf("[\xff%s]\n", substr("a\377b", 1));
	printf("[%s] %S\n", "\z\?\"\q\'", "\xff\001\t");
	printf("%d %d %d %d\n", '\377', '\xff', '\'', '\z');
	printf("%d %d %d\n", 'ab', 'abcd', '\"');
}

BEGIN
/seen["\xff"] == 7 && strjoin(probename, "\xff") == "BEGIN\xff"/
{
	printf("ok\n");
	exit(0);
}
