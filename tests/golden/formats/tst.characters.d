/* %c prints one character; escapes in literals are C's. */
BEGIN
{
	printf("%c%c%c %d %d %d\n", 'a', 'b', 67, '\n', '\\', '\x41');
	printf("tab[\t] quote[\"] octal[\101] hex[\x42] bell-less\n");
	exit(0);
}
