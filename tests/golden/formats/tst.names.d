/* Probe names and other strings that are known at compile time. */
BEGIN
{
	printf("%s:%s:%s:%s\n", probeprov, probemod, probefunc, probename);
	printf("%*s:\n", 15, probename);
	printf("%-15s:\n", probename);
	exit(0);
}
