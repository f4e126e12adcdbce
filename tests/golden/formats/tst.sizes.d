/* A size prefix wants an argument of that size; %x and its like take either sign. %T is a long date. */
BEGIN
{
	printf("%hd %hu %hx %ld %lu %lx\n", (short)-1, (unsigned short)1, (unsigned short)2, -1L, 1UL, 2UL);
	printf("%lld %llu %llX %lli %llo\n", -1LL, 1ULL, (int64_t)-1, (int64_t)3, (uint64_t)8);
	printf("[%lc] [%5lc] [%-3c]\n", 65, 66, 67);
	printf("%#o %#x %+u %+x|%+s|%05s|%-05s|\n", 0, 0, 5, 5, "a", "c", "d");
	exit(0);
}
