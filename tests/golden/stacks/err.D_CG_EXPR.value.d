/* A symbol is shown or a key, but no value of an expression. */
BEGIN
{
	x = sym(0);
}
