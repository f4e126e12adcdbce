/* lquantize counts by equal steps. */
BEGIN
{
	@a = lquantize(-5, 0, 10, 2); @a = lquantize(0, 0, 10, 2); @a = lquantize(3, 0, 10, 2);
	@a = lquantize(9, 0, 10, 2); @a = lquantize(10, 0, 10, 2); @a = lquantize(99, 0, 10, 2);
	@b["k"] = lquantize(1, 0, 3);
	exit(0);
}
