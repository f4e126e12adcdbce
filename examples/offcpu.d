#!/usr/bin/env -S rdtrace -qs
/*
 * Shows where the Python functions of a program wait: the time that its threads spend off the CPU, by the function
 * that they are in when they come back to it. Locks, sockets, files, sleeps: whatever a thread waits for shows here.
 *
 *     ./offcpu.d -c "python3 slow.py"
 *     ./offcpu.d -p PID
 *
 * For a program that is not written in Python, put ustack(10) in the place of jstack(10).
 */

sched:::off-cpu
/pid == $target/
{
	self->left = timestamp;
}

sched:::on-cpu
/self->left/
{
	@times[jstack(10)] = sum(timestamp - self->left);
	@waits[jstack(10)] = count();
	self->left = 0;
}

END
{
	normalize(@times, 1000);
	printa("%k  %@d microseconds in %@d waits\n", @times, @waits);
}
