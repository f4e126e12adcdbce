/*
 * Calls functions of its own N times: sum() with eight arguments, which has two ways out, and last(),
 * which ends with a jump to another function. Asks the C library for a variable.
 */
#include <stdint.h>
#include <stdlib.h>

__attribute__((noinline, noclone)) long sum(long a, long b, long c, long d, long e, long f, long g,
					    long h)
{
	if (a == 0)
		return -1;
	return a + b + c + d + e + f + g + h;
}

__attribute__((noinline, noclone)) long twice(long a)
{
	__asm__ volatile("" ::: "memory");
	return 2 * a;
}

__attribute__((noinline, noclone, optimize("O2"))) long last(long a)
{
	return twice(a + 1);
}

static char name[] = "RDTRACE_TEST";

int main(int argc, char **argv)
{
	long n = argc > 1 ? atol(argv[1]) : 1;
	volatile long total = 0;
	name[0] = 'R'; /* its page is resident */
	for (long i = 0; i < n; i++) {
		total += sum(i, 2, 3, 4, 5, 6, 7, 8);
		total += last(i);
		total += getenv(name) != NULL;
	}
	return 0;
}
