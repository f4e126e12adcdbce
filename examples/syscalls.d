#!/usr/bin/env -S rdtrace -qs
/*
 * Shows the system calls of a program: how many of each, how long they took, and which failed.
 *
 *     ./syscalls.d -c "python3 slow.py"
 *     ./syscalls.d -p PID
 */

syscall:::entry
/pid == $target/
{
	self->start = timestamp;
}

syscall:::return
/pid == $target && self->start/
{
	@calls[probefunc] = count();
	@times[probefunc] = sum(timestamp - self->start);
	self->start = 0;
}

syscall:::return
/pid == $target && errno/
{
	@errors[probefunc, errno] = count();
}

END
{
	normalize(@times, 1000);
	printf("%-24s %10s %12s\n", "SYSTEM CALL", "CALLS", "MICROSECONDS");
	printa("%-24s %@10d %@12d\n", @calls, @times);
	printf("\n%-24s %10s %12s\n", "FAILED", "ERRNO", "CALLS");
	printa("%-24s %10d %@12d\n", @errors);
}
