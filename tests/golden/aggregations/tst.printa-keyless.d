/* printa of an aggregation without key. */
BEGIN
{
	@n = count(); @q = quantize(5);
	printa("n is %@d\n", @n);
	printa("spread:%@d\n", @q);
	printa(@n);
	exit(0);
}
