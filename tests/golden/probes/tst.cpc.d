/*
 * Events that the kernel counts: each page fault of a program, and one of ten on each CPU. The addresses say where.
 */
/* trigger: network.py 1 */
int in_kernel, in_program, wrong;

cpc:::page_faults-user-1
/pid == $target/
{
	faults++;
	in_kernel += arg0 != 0;
	in_program += arg1 != 0;
}

cpc:::minor_faults-user-10
/pid == $target/
{
	tenths++;
}

cpc:::faults-kernel-1
/pid == $target/
{
	of_kernel = 1;
	wrong += arg1 != 0;
}

END
{
	printf("%d %d %d\n", faults > 100, in_kernel, in_program == faults);
	printf("%d\n", tenths > 0 && tenths < faults);
	printf("%d %d\n", of_kernel, wrong);
}
