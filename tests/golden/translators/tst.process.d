/* What the kernel knows of the thread that fires. */
BEGIN
{
	printf("%d %d %d\n", curpsinfo->pr_pid == pid, curlwpsinfo->pr_lwpid == tid, curpsinfo->pr_ppid == ppid);
	printf("%d %d\n", curpsinfo->pr_uid == uid, curpsinfo->pr_gid == gid);
	printf("%d\n", curpsinfo->pr_fname == execname);
	printf("%c %d\n", curlwpsinfo->pr_sname, curlwpsinfo->pr_state == SRUN);
	printf("%d %d\n", curcpu->cpu_id == cpu, curcpu->cpu_lgrp);
	this->p = curpsinfo;
	@[this->p->pr_dmodel] = count();
	exit(0);
}
