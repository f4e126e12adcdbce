#!/usr/bin/env -S rdtrace -qs
/*
 * Shows every program that starts on the machine: who starts it, whether that worked, and how it ends.
 *
 *     ./execsnoop.d
 *     ./execsnoop.d -c "make"
 */

BEGIN
{
	printf("%-10s %7s %7s  %s\n", "WHAT", "PID", "PPID", "PROGRAM");
}

proc:::exec-success
{
	self->started = timestamp;
	printf("%-10s %7d %7d  %s\n", "start", pid, ppid, execname);
}

proc:::exec-failure
{
	printf("%-10s %7d %7d  %s (error %d)\n", "failed", pid, ppid, execname, -args[0]);
}

proc:::exit
/self->started/
{
	this->how = args[0] == CLD_EXITED ? "end" : "killed";
	printf("%-10s %7d %7d  %s after %d ms\n", this->how, pid, ppid, execname, (timestamp - self->started) / 1000000);
	self->started = 0;
}
