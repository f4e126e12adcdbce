/* `*` takes a width or a precision from the arguments; a negative width aligns left. */
BEGIN
{
	printf("[%*d] [%-*d] [%*s] [%*s]\n", 6, 3, 6, 3, 5, "ab", -5, "ab");
	printf("[%.*s] [%*.*s] [%*s]\n", 2, "abc", 5, 2, "abc", 0, "");
	exit(0);
}
