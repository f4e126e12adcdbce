/* A stack of no frames is an error. */
BEGIN
{
	stack(0);
}
