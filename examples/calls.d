#!/usr/bin/env -S rdtrace -qs
/*
 * Shows, each second, the 20 Python functions called most often on the whole machine.
 *
 *     ./calls.d
 */

#pragma D option aggsortrev

python*:::function-entry
{
	@calls[pid, copyinstr(arg0), arg2, copyinstr(arg1)] = count();
}

tick-1s
{
	trunc(@calls, 20);
	printf("\033[2J\033[1;1H%6s %60s %6s %30s %9s\n",
	    "PID", "FILENAME", "LINE", "FUNCTION", "CALLS");
	printa("%6d %60s %6d %30s %@9d\n", @calls);
	trunc(@calls);
}

/* What the last, unfinished second counted is not for printing. */
END
{
	trunc(@calls);
}
