/* An address that nothing holds shows as a number, in the columns of a name. */
BEGIN
{
	sym(0);
	usym(0);
	printf("|\n");
	func(1);
	mod(2);
	ufunc(3);
	umod(4);
	uaddr(5);
	printf("|[%a] [%8a] [%-8A]|\n", 5, (void *)6, 7);
	@[sym(8), usym(9), "x"] = count();
	printa("%a %A %s %@d\n", @);
	exit(0);
}
