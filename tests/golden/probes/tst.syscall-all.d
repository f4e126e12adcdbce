/*
 * All system calls are one program each way, whose clauses know which one fires; a clause that names
 * args[1] is right for those calls that have one.
 */
/* trigger: system_calls.c 7 */
syscall:::entry,
syscall:::return
/pid == $target && (probefunc == "getppid" || probefunc == "dup3")/
{
	@[probefunc, probename] = count();
}

syscall::[dw]*:entry
/pid == $target && (probefunc == "write" || probefunc == "dup3")/
{
	@arguments[probefunc, args[0], arg2] = count();
}

syscall:::return
/pid == $target && (probefunc == "write" || probefunc == "openat") && errno && errno != 2/
{
	@errors[probefunc, errno] = count();
}
