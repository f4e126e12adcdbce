/* clear keeps the keys, trunc drops them. */
BEGIN
{
	@a["x"] = sum(5); @a["y"] = sum(6);
	@b["x"] = sum(5); @b["y"] = sum(6); @b["z"] = sum(7);
	clear(@a); printa("%s %@d\n", @a);
	trunc(@b, 1); printa("%s %@d\n", @b);
	trunc(@b); printa("%s %@d\n", @b);
	exit(0);
}
