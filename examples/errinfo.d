#!/usr/bin/env -S rdtrace -qs
/*
 * Shows which system calls fail, on the whole machine or of one program, and with what error's number: errno(3) and
 * `errno -l` say what each means.
 *
 *     ./errinfo.d
 *     ./errinfo.d -c "python3 slow.py"
 */

syscall:::return
/errno && ($target == 0 || pid == $target)/
{
	@failed[execname, probefunc, errno] = count();
}

END
{
	printf("%-16s %-20s %6s %8s\n", "PROGRAM", "SYSTEM CALL", "ERRNO", "CALLS");
	printa("%-16s %-20s %6d %@8d\n", @failed);
}
