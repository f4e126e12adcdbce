/* A float and a double can be read and shown with %f, %e and %g; nothing is computed with them. */
/* args: -q */
double zero;

BEGIN
{
	this->d = (double *)alloca(8);
	*(uint64_t *)this->d = 0x4004000000000000;
	this->f = (float *)alloca(4);
	*(uint32_t *)this->f = 0xbfc00000;
	printf("%f %e %g %E %G\n", *this->d, *this->d, *this->d, *this->f, *this->f);
	printf("[%10.2f] [%-10.1f] [%+g] [%010.3f] [%#.3g]\n", *this->d, *this->d, *this->d, *this->f, *this->d);
	printf("%f %g %d\n", zero, zero, sizeof (zero));
	*(uint64_t *)this->d = 0x7ff0000000000000;
	printf("%f %d\n", *this->d, sizeof (*this->f));
	exit(0);
}
