/* %s obeys width and precision; %S escapes. */
BEGIN
{
	printf("[%s] [%10s] [%-10s|] [%.3s] [%6.2s]\n", "plain", "right", "left", "abcdef", "abcdef");
	printf("[%S]\n", "a\tb\n");
	printf("[%s]\n", "");
	printf("no newline");
	printf("%s", "\n");
	exit(0);
}
