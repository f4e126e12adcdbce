/* cleanpath() of what only the probe knows, in a predicate, a key, a variable and a comparison. */
string path, clean;

BEGIN
{
	path = "/usr//lib/../share/./doc/..";
	clean = cleanpath(path);
	printf("%s\n", clean);
	@[cleanpath(strjoin(path, "/a"))] = count();
}

BEGIN
/cleanpath(path) == "/usr/share"/
{
	@[cleanpath("x/../../y")] = count();
	path = "a/../../b/";
	printf("%s %d\n", cleanpath(path), strlen(cleanpath(path)));
	exit(0);
}

END
{
	printa("%s %@d\n", @);
}
