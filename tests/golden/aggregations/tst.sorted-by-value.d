/* Rows go up by value, and by key where values are equal. */
BEGIN
{
	@["three"] = sum(3); @["one"] = sum(1); @["two"] = sum(2); @["minus"] = sum(-1); @["also"] = sum(2);
	exit(0);
}
