#!/usr/bin/env -S rdtrace -qs
/*
 * Shows every Python call and return as a tree, with microseconds since the start.
 *
 *     ./call_hierarchy.d -c "python3 call_stack.py"
 *     ./call_hierarchy.d -p PID
 */

self int depth;

BEGIN
{
	start = timestamp;
}

python$target:::function-entry
{
	printf("%8d %s(%d):%*s=> %s in %s:%d\n", (timestamp - start) / 1000,
	    execname, pid, 1 + self->depth, "",
	    copyinstr(arg1), basename(copyinstr(arg0)), arg2);
	self->depth++;
}

/* Calls that began before the tracing return at depth 0. */
python$target:::function-return
{
	self->depth -= self->depth > 0;
	printf("%8d %s(%d):%*s<= %s in %s:%d\n", (timestamp - start) / 1000,
	    execname, pid, 1 + self->depth, "",
	    copyinstr(arg1), basename(copyinstr(arg0)), arg2);
}
