/* system() runs a command in its place in the output, its format filled in. */
/* args: -qw */
BEGIN
{
	printf("before\n");
	system("echo %s %d '%c'", "its", 5, 'x');
	printf("after\n");
}

BEGIN
/0/
{
	system("echo never");
}

BEGIN
{
	system("exit 3");
	exit(0);
}

END
{
	system("echo \"the end\"");
}
