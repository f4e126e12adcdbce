/* Actions in a conditional expression are run as by `if` and `else`. */
BEGIN
{
	x = 2;
	x == 2 ? printf("two\n") : 1;
	x == 3 ? printf("three\n") : printf("not three\n");
	x > 5 ? 1 : (x > 1 ? printf("small\n") : printf("tiny\n"));
	x ? @a["yes"] = count() : 1;
	!x ? @a["no"] = count() : 1;
	x == 2 ? y = 7 : 1;
	printf("%d\n", y);
	exit(0);
}
