/* ?: gives integers and strings, and runs only one side. */
BEGIN
{
	x = 3;
	printf("%d %s\n", x > 2 ? 10 : 20, x > 5 ? "big" : "small");
	printf("%d\n", x == 0 ? 1 / x : 42);
	printf("%s\n", x == 1 ? "a" : x == 3 ? "c" : "z");
	exit(0);
}
