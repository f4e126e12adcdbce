/*
 * Processes and signals: what starts and ends, who becomes another program, and who sends a signal to whom, with
 * what is known of the other one.
 */
/* trigger: processes.c 5 */
/* needs: sched:::on-cpu */
proc:::create
/pid == $target/
{
	@created[probeprov, probemod, probefunc, args[0]->pr_fname, args[0]->pr_ppid == pid || args[0]->pr_pid == pid] = count();
}

proc:::lwp-create
/pid == $target && args[1]->pr_pid == pid/
{
	printf("a thread of %s, %d\n", args[0]->pr_name, args[0]->pr_lwpid != tid);
}

proc:::start,
proc:::lwp-start,
proc:::lwp-exit
/progenyof($target)/
{
	@lives[probename, execname] = count();
}

proc:::exec
/progenyof($target)/
{
	printf("exec %s\n", args[0]);
}

proc:::exec-success
/progenyof($target)/
{
	printf("now %s\n", execname);
}

proc:::exec-failure
/progenyof($target)/
{
	printf("exec failed: %d %d\n", args[0], (int)arg0);
}

proc:::exit
/progenyof($target)/
{
	printf("exit of %s: %d\n", execname, args[0]);
}

proc:::fault
/progenyof($target)/
{
	printf("fault: signal %d %d, code %d\n", args[0], args[1]->si_signo, args[1]->si_code);
}

proc:::signal-send
/pid == $target/
{
	@sent[args[2], arg1, args[1]->pr_fname, args[1]->pr_pid == pid, args[0]->pr_lwpid == tid] = count();
}

proc:::signal-discard
/progenyof($target) && args[1]->pr_fname == execname/
{
	@discarded[args[2], args[1]->pr_fname] = count();
}

proc:::signal-handle
/progenyof($target)/
{
	printf("handle %d %d\n", args[0], args[2] != NULL);
}

proc:::signal-clear
/progenyof($target)/
{
	printf("waited for %d\n", args[0]);
}
