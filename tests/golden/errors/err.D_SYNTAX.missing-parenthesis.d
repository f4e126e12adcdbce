/* A syntax error is placed at the token that cannot stand there. */
BEGIN
{
	printf("x"};
}
