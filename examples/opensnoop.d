#!/usr/bin/env -S rdtrace -qs
/*
 * Shows the files that programs open, on the whole machine or by one program: who, which file, and the error's
 * number if there is none such.
 *
 *     ./opensnoop.d
 *     ./opensnoop.d -c "python3 slow.py"
 */

BEGIN
{
	printf("%7s %-16s %5s %5s  %s\n", "PID", "PROGRAM", "FD", "ERRNO", "FILE");
}

syscall::open:entry
/$target == 0 || pid == $target/
{
	self->file = arg0;
}

syscall::openat:entry,
syscall::openat2:entry
/$target == 0 || pid == $target/
{
	self->file = arg1;
}

/* On return the name is in memory for sure: the kernel has read it. */
syscall::open:return,
syscall::openat:return,
syscall::openat2:return
/self->file/
{
	printf("%7d %-16s %5d %5d  %s\n", pid, execname, errno ? -1 : (int)arg0, errno, copyinstr(self->file));
	self->file = 0;
}
