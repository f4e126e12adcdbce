/*
 * A function with a part that the compiler keeps apart, where something else than a return address is on top of
 * the stack. Says how often it was there, and how many arguments the program has, which `_start` finds there.
 */
#include <stdio.h>

static int seldom;

__attribute__((cold, noinline, noclone)) static void note(volatile int *of)
{
	seldom += of[0] == 3;
}

__attribute__((noinline, noclone)) static int checked(int n)
{
	volatile int kept[16] = {n};

	for (int i = 1; i < 16; i++)
		kept[i] = kept[i - 1] + n;
	if (n == 3)
		note(kept);
	return kept[15];
}

int main(int argc, char **argv)
{
	long sum = 0;

	(void)argv;
	for (int i = 0; i < 6; i++)
		sum += checked(i);
	printf("%d seldom, sum %ld, %d arguments\n", seldom, sum, argc);
	return 0;
}
