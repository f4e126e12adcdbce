/*
 * System calls have their arguments as words and by their types, those that a call does not have are 0; on
 * return arg0 and arg1 are the result, and errno says how a call failed. A 32-bit call is no other one.
 */
/* trigger: system_calls.c 5 */
syscall::getppid:entry
/pid == $target/
{
	@calls[probeprov, probemod, probefunc, probename] = count();
	@arguments[arg0, arg1, arg5, arg6, errno] = count();
}

syscall::getppid:return
/pid == $target/
{
	@results[arg0 == ppid, arg1 == ppid, args[0] == ppid, arg2, errno] = count();
}

syscall::openat:entry
/pid == $target && copyinstr(arg1) == "/nonexistent/file"/
{
	self->opens = 1;
	printf("openat(%d, %s, %d, %d) %d %d\n", args[0], stringof(args[1]), arg2, arg3, arg4, arg5);
}

syscall::openat:return
/self->opens/
{
	self->opens = 0;
	printf("= %d %d, errno %d\n", (int)arg0, (int)args[0], errno);
}

syscall::write:entry
/pid == $target/
{
	printf("write(%d, %s, %d) of %d bytes\n", (int)args[0], copyinstr(arg1, arg2), args[2], sizeof (args[0]));
}

syscall::write:return
/pid == $target/
{
	printf("= %d, errno %d\n", (int)arg0, errno);
}

syscall::dup3:return
/pid == $target/
{
	printf("dup3 = %d, errno %d\n", arg0, errno);
}

syscall::semget:entry
/pid == $target/
{
	printf("no such call was made\n");
}
