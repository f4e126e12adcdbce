/* What shows stacks says so where there are none. */
/* args: -q --format folded */
BEGIN
{
	@["no stack"] = count();
	exit(0);
}
