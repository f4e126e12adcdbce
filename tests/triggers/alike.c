/*
 * Twelve functions alike, f00 to f11, each called with its number as many times as that says and once
 * more; each gives twice its argument back.
 */
#define FUNCTION(n)                                                                                \
	__attribute__((noinline, noclone)) long f##n(long a)                                       \
	{                                                                                          \
		__asm__ volatile("" ::: "memory");                                                 \
		return 2 * a;                                                                      \
	}

FUNCTION(00)
FUNCTION(01)
FUNCTION(02)
FUNCTION(03)
FUNCTION(04)
FUNCTION(05)
FUNCTION(06)
FUNCTION(07)
FUNCTION(08)
FUNCTION(09)
FUNCTION(10)
FUNCTION(11)

static long (*const all[])(long) = { f00, f01, f02, f03, f04, f05, f06, f07, f08, f09, f10, f11 };

int main(void)
{
	volatile long total = 0;
	for (long n = 0; n < 12; n++)
		for (long i = 0; i <= n; i++)
			total += all[n](n);
	return 0;
}
