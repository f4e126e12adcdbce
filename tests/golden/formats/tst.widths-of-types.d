/* A conversion prints as many bits as its argument's type has. */
BEGIN
{
	printf("%x %x %x %x\n", -1, (short)-1, (char)-1, (long)-1);
	printf("%d %d %d\n", (char)200, (short)40000, (int)3000000000);
	printf("%u %u %u\n", (unsigned char)200, (unsigned short)40000, (unsigned int)3000000000);
	printf("%u %o\n", (unsigned long)-1, (char)-1);
	printf("%hd %d %ld %lld %lx %llu\n", (short)70000, (char)300, (long)5, (long long)6, (long)255, 7ull);
	exit(0);
}
