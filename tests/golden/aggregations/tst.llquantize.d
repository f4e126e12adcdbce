/* llquantize counts by steps within powers. */
BEGIN
{
	@ = llquantize(1, 10, 0, 3, 10); @ = llquantize(15, 10, 0, 3, 10); @ = llquantize(150, 10, 0, 3, 10);
	@ = llquantize(99999, 10, 0, 3, 10); @ = llquantize(-3, 10, 0, 3, 10);
	exit(0);
}
