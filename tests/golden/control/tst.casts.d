/* Casts cut and extend as in C on LP64. */
BEGIN
{
	x = 300;
	printf("%d %d %d\n", (char)x, (unsigned char)x, (int8_t)x);
	printf("%d %d\n", (int)0x1ffffffff, (uint16_t)-1);
	printf("%d %d\n", (unsigned int)-1 > 0, -1 < 0);
	printf("%d %d %d %d\n", sizeof (char), sizeof (int), sizeof (long), sizeof (void *));
	exit(0);
}
