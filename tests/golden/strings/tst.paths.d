/* basename and dirname follow the C library. */
BEGIN
{
	printf("%s|%s|%s|%s\n", basename("/usr/lib/x.py"), basename("x.py"), basename("/usr/lib/"), basename("/"));
	printf("%s|%s|%s|%s\n", dirname("/usr/lib/x.py"), dirname("x.py"), dirname("/usr/lib/"), dirname("/"));
	printf("%s|%s\n", basename(""), dirname(""));
	exit(0);
}
