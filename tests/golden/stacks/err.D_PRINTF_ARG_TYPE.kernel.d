/* %a shows no address of a process. */
BEGIN
{
	@[usym(0)] = count();
	printa("%a", @);
}
