#!/usr/bin/env -S rdtrace -qs
/*
 * Shows the calls of Python functions that take at least $1 milliseconds, as they return.
 *
 *     ./slow.d 100 -c "python3 slow.py"
 *     ./slow.d 100 -p PID
 */

self int call_depth;

python$target:::function-entry
{
	self->called[self->call_depth] = timestamp;
	self->call_depth++;
}

/* Calls that began before the tracing return at depth 0: how long they took is not known. */
python$target:::function-return
{
	this->took = 0UL;	/* unsigned 64 bits, as timestamp: an int ends at 2.1 seconds */
}

python$target:::function-return
/self->call_depth > 0/
{
	self->call_depth--;
	this->took = timestamp - self->called[self->call_depth];
	self->called[self->call_depth] = 0;
}

python$target:::function-return
/this->took >= $1 * 1000000/
{
	printf("%6d.%03d ms  %s:%d %s\n", this->took / 1000000, this->took / 1000 % 1000,
	    basename(copyinstr(arg0)), arg2, copyinstr(arg1));
}
