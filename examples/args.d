#!/usr/bin/env -S rdtrace -qs
/*
 * Shows the first four arguments of each call of one Python function, as repr does.
 *
 *     ./args.d start -c "python3 call_stack.py"
 *     ./args.d charge -p PID
 */

#pragma D option defaultargs

python$target:::function-entry
/copyinstr(arg1) == $$1/
{
	printf("%s:%d %s %s %s %s %s\n", basename(copyinstr(arg0)), arg2, copyinstr(arg1),
	    pyarg(0), pyarg(1), pyarg(2), pyarg(3));
}
