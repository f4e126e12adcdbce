/* if and else, nested, choose what runs. */
BEGIN
{
	x = 2;
	if (x == 1)
		printf("one\n");
	else if (x == 2) {
		printf("two\n");
		if (x > 1 && x < 3) {
			y = 7;
		} else {
			y = 8;
		}
	} else
		printf("other\n");
	printf("y is %d\n", y);
	if (y == 8)
		printf("never\n");
	if (y)
		printf("yes\n");
	exit(0);
}
