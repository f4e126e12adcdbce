#!/usr/bin/env -S rdtrace -qs
/*
 * Shows each exception that a Python program raises, and the functions that it passes through, caught or not.
 *
 *     ./exceptions.d -c "python3 app.py"
 *     ./exceptions.d -p PID
 *
 * The interpreter calls PyTraceBack_Here() for each function that an exception comes to, the innermost first. Before
 * Python 3.12 what C code has raised may show as its class.
 */

self uint64_t passing;
self uint32_t depth;

pid$target::PyTraceBack_Here:entry
/(uint64_t)pyexception != self->passing || pydepth >= self->depth/
{
	printf("%s:%d %s: %s\n", basename(pyfile), pyline, pyfunc, pyexception);
}

pid$target::PyTraceBack_Here:entry
/(uint64_t)pyexception == self->passing && pydepth < self->depth/
{
	printf("    through %s:%d %s\n", basename(pyfile), pyline, pyfunc);
}

pid$target::PyTraceBack_Here:entry
{
	self->passing = (uint64_t)pyexception;
	self->depth = pydepth;
}
