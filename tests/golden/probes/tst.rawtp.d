/*
 * Tracepoints have what the kernel passes to them, by its own types: a new process is its parent's child. They
 * are in the modules that tracefs has them in.
 */
/* trigger: forks.py */
rawtp:sched::sched_process_fork
/pid == $target/
{
	@forks[probeprov, probemod, probefunc, probename] = count();
	@arguments[args[0]->tgid == pid, args[1]->real_parent->tgid == pid, arg0 == (uint64_t)curthread, arg2, arg9] = count();
}

rawtp:::sched_process_exit
/pid == $target && ppid != $target/
{
	@exits[execname == args[0]->comm, args[0]->tgid == pid] = count();
}
