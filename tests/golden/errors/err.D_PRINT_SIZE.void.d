/* print() shows nothing of what has no type. */
BEGIN
{
	print((void *)alloca(8));
}
