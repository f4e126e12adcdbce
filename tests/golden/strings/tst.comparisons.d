/* Strings compare by bytes. */
BEGIN
{
	printf("%d %d %d %d\n", "abc" < "abd", "abc" == "abc", "abc" != "abc", "abc" > "ab");
	x = "hello";
	printf("%d %d %d %d\n", x == "hello", x == "hell", x >= "hello", "" < x);
	exit(0);
}
