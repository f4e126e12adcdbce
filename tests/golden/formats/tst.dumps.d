/* trace() and keys dump a string that is not printable ASCII; printf shows any bytes. */
#pragma D option strsize=32

BEGIN
{
	trace("Grüße");
	printf("%s\n", "Grüße");
	trace("\t\a\b\n");
	@["zażółć"] = count();
	@["plain"] = count();
	exit(0);
}
