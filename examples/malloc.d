#!/usr/bin/env -S rdtrace -qs
/*
 * Shows which Python functions a program asks for memory in, as malloc() of the C library hands it out: how many
 * calls and bytes, by the innermost functions. Small objects come from Python's own arenas, and seldom get here.
 *
 *     ./malloc.d -c "python3 slow.py"
 *     ./malloc.d -p PID
 *
 * For a program that is not written in Python, put ustack(5) in the place of jstack(5).
 */

pid$target:libc.so.6:malloc:entry
{
	@bytes[jstack(5)] = sum(arg0);
	@calls[jstack(5)] = count();
}

END
{
	trunc(@bytes, 20);
	printa("%k  %@d bytes in %@d calls\n", @bytes, @calls);
}
