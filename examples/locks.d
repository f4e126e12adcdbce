#!/usr/bin/env -S rdtrace -qs
/*
 * Shows where the threads of a program wait for each other: for locks, conditions and queues, and for Python's own
 * lock that lets one thread run at a time. All of these sleep in the system call futex() when they cannot go on.
 *
 *     ./locks.d -c "python3 locks.py"
 *     ./locks.d -p PID
 *
 * For a program that is not written in Python, put ustack(10) in the place of jstack(10).
 */

/* FUTEX_WAIT is 0 and FUTEX_WAIT_BITSET 9; the higher bits are options. */
syscall::futex:entry
/pid == $target && ((arg1 & 0x7f) == 0 || (arg1 & 0x7f) == 9)/
{
	self->since = timestamp;
}

syscall::futex:return
/self->since/
{
	@waits[jstack(10)] = count();
	@times[jstack(10)] = sum(timestamp - self->since);
	@each["all waits, in nanoseconds"] = quantize(timestamp - self->since);
	self->since = 0;
}

END
{
	normalize(@times, 1000);
	printa("%k  %@d microseconds in %@d waits\n", @times, @waits);
	printa(@each);
}
