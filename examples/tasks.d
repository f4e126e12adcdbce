#!/usr/bin/env -S rdtrace -qs
/*
 * Shows which tasks of asyncio use the CPU, and which stop their event loop by waiting in system calls.
 *
 *     ./tasks.d -c "python3 app.py"
 *     ./tasks.d -p PID                     (until Ctrl-C)
 *
 * While a task is running, no other task of its loop is: a task that reads a slow file, sleeps without `await` or computes
 * for long makes all of them wait. The time in which a task waits for an `await` is not counted. Tasks are told by
 * their names (Python 3.8 on); `asyncio.create_task(..., name=...)` gives one that says more than `Task-7`.
 */

profile-997
/pid == $target && pytask != ""/
{
	@samples[pytask, pyfunc] = count();
}

syscall:::entry
/pid == $target && pytask != ""/
{
	self->since = timestamp;
}

syscall:::return
/self->since/
{
	self->took = (timestamp - self->since) / 1000;
	@waited[pytask, probefunc] = sum(self->took);
	@longest[pytask, probefunc] = max(self->took);
	self->since = 0;
}

END
{
	printf("%-24s %-24s %12s\n", "TASK", "FUNCTION", "CPU SAMPLES");
	printa("%-24s %-24s %@12d\n", @samples);
	printf("\n%-24s %-24s %12s %12s\n", "TASK", "SYSTEM CALL", "TOTAL us", "LONGEST us");
	printa("%-24s %-24s %@12d %@12d\n", @waited, @longest);
}
