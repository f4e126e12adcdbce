/*
 * Who has a CPU: off-cpu fires on the thread that leaves, which still runs, on-cpu on the one that comes. A thread
 * that left comes back.
 */
/* trigger: processes.c 7 */
/* needs: sched:::on-cpu */
sched:::surrender
/pid == $target/
{
	@yields[probeprov, probemod, probefunc, args[1]->pr_pid == pid, args[0]->pr_lwpid == tid] = count();
}

sched:::sleep
/pid == $target/
{
	@slept["slept"] = count();
}

sched:::off-cpu
/pid == $target/
{
	self->left = timestamp;
	self->sleeps = 1;
	@others = max(args[1]->pr_pid != pid || args[0]->pr_lwpid != tid);
}

sched:::on-cpu
/self->left/
{
	@back = max(pid == $target && self->sleeps && timestamp > self->left);
	@mine[execname] = max(1);
	self->left = 0;
}

sched:::on-cpu
/curthread->pid != tid/
{
	printf("the thread is another one\n");
}

sched:::wakeup
/args[1]->pr_pid == $target/
{
	@woken["woken", args[1]->pr_fname] = count();
}

END
{
	printa("%s %s %s %d %d: %@d\n", @yields);
	printa("another thread: %@d, back: %@d\n", @others, @back);
	printa("%s: %@d\n", @mine);
	clear(@slept);
	clear(@woken);
	printa("%s\n", @slept);
	printa("%s %s\n", @woken);
}
