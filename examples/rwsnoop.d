#!/usr/bin/env -S rdtrace -qs
/*
 * Shows what programs read and write, on the whole machine or by one program: each call of read() and write(), from
 * or to which file, and how many bytes it moved. What has no name is a pipe, a socket or a terminal.
 *
 *     ./rwsnoop.d
 *     ./rwsnoop.d -c "python3 slow.py"
 */

BEGIN
{
	printf("%7s %-16s %1s %5s %9s  %s\n", "PID", "PROGRAM", "D", "FD", "BYTES", "FILE");
}

syscall::read:entry,
syscall::pread64:entry,
syscall::write:entry,
syscall::pwrite64:entry
/($target == 0 || pid == $target) && execname != "rdtrace"/
{
	self->fd = args[0] + 1;
}

syscall::read:return,
syscall::pread64:return
/self->fd/
{
	printf("%7d %-16s R %5d %9d  %s\n", pid, execname, self->fd - 1, arg0, fds[self->fd - 1].fi_name);
	self->fd = 0;
}

syscall::write:return,
syscall::pwrite64:return
/self->fd/
{
	printf("%7d %-16s W %5d %9d  %s\n", pid, execname, self->fd - 1, arg0, fds[self->fd - 1].fi_name);
	self->fd = 0;
}
