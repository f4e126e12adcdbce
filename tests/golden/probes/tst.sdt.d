/*
 * The events of tracepoints have the fields that tracefs describes: numbers by their types, and texts.
 */
/* trigger: forks.py */
sdt:sched::sched_process_fork
/pid == $target/
{
	@forks[probeprov, probemod, probefunc, probename] = count();
}

sdt:sched::sched_switch
/pid == $target/
{
	@switches[args[1] == tid, (int)arg1 == tid, stringof(args[0]) == execname, sizeof (args[1]), args[3] >= 0] = max(1);
}

:::sched_process_exit
/pid == $target/
{
	@exits[probeprov] = count();
}
