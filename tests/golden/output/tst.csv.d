/* A table has one line for each key, and one for each bucket of a histogram. */
/* args: -q --format csv */
BEGIN
{
	@calls["f, \"g\"", 1] = count();
	@sizes["f"] = lquantize(3, 0, 10, 5);
	@sizes["f"] = lquantize(-1, 0, 10, 5);
	@total = sum(-7);
}

BEGIN
/0/
{
	printf("%d %d %d", 1, 2, 3);
}

tick-10ms
{
	exit(0);
}
