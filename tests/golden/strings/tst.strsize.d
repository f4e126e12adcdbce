/* Strings are cut at strsize, which a pragma can set. */
#pragma D option strsize=8
BEGIN
{
	x = strjoin("12345", "67890");
	printf("[%s] %d\n", x, strlen(x));
	exit(0);
}
