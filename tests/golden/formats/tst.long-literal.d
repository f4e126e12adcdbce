/* A format may hold any bytes of text, such as UTF-8. */
BEGIN
{
	printf("Grüße, ‘world’ – 100%% %s\n", "zażółć");
	exit(0);
}
