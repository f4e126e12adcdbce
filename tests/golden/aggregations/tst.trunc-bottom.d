/* trunc keeps the largest; with a negative number the smallest. */
BEGIN
{
	@a["x"] = sum(1); @a["y"] = sum(2); @a["z"] = sum(3);
	@b["x"] = sum(1); @b["y"] = sum(2); @b["z"] = sum(3);
	trunc(@a, 2); trunc(@b, -2);
	exit(0);
}
