/* Every aggregating function, printed at the end. */
BEGIN
{
	@count = count(); @count = count();
	@sum = sum(5); @sum = sum(-7);
	@min = min(5); @min = min(-7);
	@max = max(5); @max = max(-7);
	@avg = avg(1); @avg = avg(4);
	@dev = stddev(1); @dev = stddev(9);
	exit(0);
}
