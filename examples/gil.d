#!/usr/bin/env -S rdtrace -qs
/*
 * Shows who waits for Python's global interpreter lock, for whom, and for how long.
 *
 *     ./gil.d -c "python3 app.py"
 *     ./gil.d -p PID                       (until Ctrl-C)
 *
 * The thread that one waits for is the one that has the lock when it asks; it may lose it to others in the meantime. Of
 * a program with several interpreters that have locks of their own, the holders are mixed up. Waits of less than a
 * microsecond, where the lock was free, are only counted.
 */

string holder;
self string holder;

python$target:::gil-wait
{
	self->holder = holder;
}

python$target:::gil-acquire
{
	@asked[pythread] = count();
	holder = pythread;
	since = timestamp;
}

python$target:::gil-acquire
/arg0 >= 1000/
{
	@waited[pythread, self->holder] = sum(arg0 / 1000);
	@longest[pythread, self->holder] = max(arg0 / 1000);
	@waits[pythread, self->holder] = count();
}

python$target:::gil-release
/since/
{
	@held[pythread] = sum((timestamp - since) / 1000);
	since = 0;
	holder = "";
}

END
{
	printf("%-20s %-20s %10s %12s %12s\n", "THREAD", "WAITED FOR", "TIMES", "US", "LONGEST US");
	printa("%-20s %-20s %@10u %@12u %@12u\n", @waits, @waited, @longest);
	printf("\n%-20s %10s %12s\n", "THREAD", "TAKEN", "HELD US");
	printa("%-20s %@10u %@12u\n", @asked, @held);
}
