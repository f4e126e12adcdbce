#!/usr/bin/env -S rdtrace -qs
/*
 * Shows which programs of the machine spend their time in which system calls: the twenty that took the longest, all
 * their calls together. What waits for something (poll, futex, read of a terminal) is in front.
 *
 *     ./procsystime.d                       until Ctrl-C
 *     ./procsystime.d -c "sleep 10"         for ten seconds
 */

syscall:::entry
{
	self->since = timestamp;
}

syscall:::return
/self->since/
{
	@times[execname, probefunc] = sum(timestamp - self->since);
	@calls[execname, probefunc] = count();
	self->since = 0;
}

END
{
	trunc(@times, 20);
	normalize(@times, 1000);
	printf("%-16s %-20s %14s %10s\n", "PROGRAM", "SYSTEM CALL", "MICROSECONDS", "CALLS");
	printa("%-16s %-20s %@14d %@10d\n", @times, @calls);
}
