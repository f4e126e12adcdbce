/*
 * A symbol of the kernel is what is in memory there, an unsigned long; its address shows as its name.
 */

#pragma D option quiet

BEGIN
{
	x = &`schedule;
	printf("%a %d\n", x, `schedule == *(unsigned long *)x);
	printf("%d\n", &vmlinux`schedule == &`schedule);
	exit(0);
}
