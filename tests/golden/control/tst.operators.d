/* Operators have C's meaning and precedence; ^^ is logical exclusive or. */
BEGIN
{
	x = 7; y = -7;
	printf("%d %d %d %d %d\n", x + y * 2, (x + y) * 2, x / 2, y / 2, y % 4);
	printf("%d %d %d %d %d\n", x & 3, x | 8, x ^ 5, ~x, -x);
	printf("%d %d %d\n", 1 << 4, 256 >> 4, y >> 1);
	printf("%d %d %d %d\n", x ^^ 0, x ^^ y, !x, !!x);
	printf("%d %d %d %d %d %d\n", x < y, x > y, x <= 7, x >= 8, x == 7, x != 7);
	x += 3; printf("%d ", x); x -= 1; printf("%d ", x); x *= 4; printf("%d ", x); x /= 5; printf("%d ", x);
	x %= 4; printf("%d ", x); x <<= 3; printf("%d ", x); x >>= 1; printf("%d ", x); x |= 3; printf("%d ", x);
	x &= 6; printf("%d ", x); x ^= 1; printf("%d\n", x);
	z = 5; printf("%d ", z++); printf("%d ", ++z); printf("%d ", z--); printf("%d\n", --z);
	printf("%d\n", (1, 2));
	exit(0);
}
