#!/usr/bin/env -S rdtrace -qs
/*
 * Shows which Python functions make the interpreter take memory from the C library: the bytes by stack, most at the end.
 *
 *     ./allocs.d -c "python3 allocs.py"
 *     ./allocs.d -p PID                       until Ctrl-C
 *
 * Objects of up to 512 bytes come from arenas that Python keeps: of these, only new arenas show.
 */

pid$target:libc.so.6:malloc:entry
/pyfunc != ""/
{
	@bytes[jstack(5)] = sum(arg0);
}

pid$target:libc.so.6:calloc:entry
/pyfunc != ""/
{
	@bytes[jstack(5)] = sum(arg0 * arg1);
}

pid$target:libc.so.6:realloc:entry
/pyfunc != ""/
{
	@bytes[jstack(5)] = sum(arg1);
}

END
{
	trunc(@bytes, 10);
	printa("%k%@d bytes\n\n", @bytes);
}
