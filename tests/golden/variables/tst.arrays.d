/* Associative arrays take tuples of any types; what was not stored is zero, or NULL. */
int declared[string, int];
BEGIN
{
	a["x", 1] = 10; a["x", 2] = 20; a["y", 1] = 30;
	printf("%d %d %d %d\n", a["x", 1], a["x", 2], a["y", 1], a["y", 2]);
	a["x", 1]++; a["x", 2] += 5; a["y", 1] = 0;
	printf("%d %d %d\n", a["x", 1], a["x", 2], a["y", 1]);
	s[1] = "one"; s[2] = "two";
	printf("[%s] [%s] [%d]\n", s[1], s[2], s[3] == NULL);
	declared["k", 3] = 7; printf("%d %d\n", declared["k", 3], declared["k", 4]);
	n[-1] = 1; n[1ull << 40] = 2; printf("%d %d %d\n", n[-1], n[1ull << 40], n[0]);
	exit(0);
}
