#!/usr/bin/env -S rdtrace -qs
/*
 * Shows every line of Python as it runs: file, line and function.
 *
 *     ./line.d -c "python3 call_stack.py"
 *     ./line.d -p PID
 */

python$target:::line
{
	printf("%s:%d\t%s\n", basename(copyinstr(arg0)), arg2, copyinstr(arg1));
}
