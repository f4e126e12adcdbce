/* printa prints now, with its own format; what was printed is not printed again at the end. */
BEGIN
{
	@a["x"] = count(); @a["y"] = count(); @a["y"] = count();
	@b["y"] = sum(10);
	printa(@a);
	printa("%s: %@d\n", @a);
	printa("%-10s|%@5d|%@8d\n", @a, @b);
	exit(0);
}
