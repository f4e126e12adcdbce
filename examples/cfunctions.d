#!/usr/bin/env -S rdtrace -qs
/*
 * Shows in which functions that are written in C a Python program spends its time, and how often it calls them.
 *
 *     ./cfunctions.d -c "python3 app.py"
 *     ./cfunctions.d -p PID                (until Ctrl-C)
 *
 * A function's time has that of what it calls in it: of sorted() that of its key function, say. In front of the name is the
 * module, or the class that the function belongs to.
 */

self int depth;

python$target:::cfunction-entry
{
	self->start[self->depth] = timestamp;
	self->depth++;
}

python$target:::cfunction-return
/self->depth/
{
	self->depth--;
	this->took = (timestamp - self->start[self->depth]) / 1000;
	self->start[self->depth] = 0;
	@calls[args[3], args[1]] = count();
	@took[args[3], args[1]] = sum(this->took);
	@longest[args[3], args[1]] = max(this->took);
}

END
{
	printf("%-24s %-24s %12s %12s %10s\n", "IN", "FUNCTION", "US", "LONGEST US", "CALLS");
	printa("%-24s %-24s %@12u %@12u %@10u\n", @took, @longest, @calls);
}
