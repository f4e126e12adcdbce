/* normalize divides what is printed; denormalize undoes it. */
BEGIN
{
	@a["x"] = sum(1000); @a["y"] = sum(500);
	normalize(@a, 100); printa("%s %@d\n", @a);
	denormalize(@a); printa("%s %@d\n", @a);
	normalize(@a, 10);
	exit(0);
}
