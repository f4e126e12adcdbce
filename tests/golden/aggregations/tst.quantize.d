/* quantize counts by powers of two, below zero too. */
BEGIN
{
	@plain = quantize(0); @plain = quantize(1); @plain = quantize(-2); @plain = quantize(5); @plain = quantize(1000);
	@keyed["key", 1] = quantize(3); @keyed["key", 1] = quantize(4, 3);
	exit(0);
}
