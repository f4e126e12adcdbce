/* What is known of the process and the thread that fire, from the kernel's record of them. */

typedef struct timestruc {
	time_t tv_sec;
	long tv_nsec;
} timestruc_t;

typedef id_t taskid_t;
typedef id_t dprojid_t;
typedef id_t poolid_t;

typedef struct lwpsinfo {
	int pr_flag;
	int pr_lwpid;
	uintptr_t pr_addr;
	uintptr_t pr_wchan;
	char pr_stype;
	char pr_state;
	char pr_sname;
	char pr_nice;
	short pr_syscall;
	char pr_oldpri;
	char pr_cpu;
	int pr_pri;
	ushort_t pr_pctcpu;
	ushort_t pr_pad;
	timestruc_t pr_start;
	timestruc_t pr_time;
	char pr_clname[8];
	char pr_name[16];
	processorid_t pr_onpro;
	processorid_t pr_bindpro;
	psetid_t pr_bindpset;
	int pr_lgrp;
	int pr_filler[4];
} lwpsinfo_t;

typedef struct psinfo {
	int pr_flag;
	int pr_nlwp;
	pid_t pr_pid;
	pid_t pr_ppid;
	pid_t pr_pgid;
	pid_t pr_sid;
	uid_t pr_uid;
	uid_t pr_euid;
	uid_t pr_gid;
	uid_t pr_egid;
	uintptr_t pr_addr;
	size_t pr_size;
	size_t pr_rssize;
	size_t pr_pad1;
	struct tty_struct *pr_ttydev;
	ushort_t pr_pctcpu;
	ushort_t pr_pctmem;
	timestruc_t pr_start;
	timestruc_t pr_time;
	timestruc_t pr_ctime;
	char pr_fname[16];
	string pr_psargs;
	int pr_wstat;
	int pr_argc;
	uintptr_t pr_argv;
	uintptr_t pr_envp;
	char pr_dmodel;
	char pr_pad2[3];
	taskid_t pr_taskid;
	dprojid_t pr_projid;
	int pr_nzomb;
	poolid_t pr_poolid;
	zoneid_t pr_zoneid;
	id_t pr_contract;
	int pr_filler[1];
	lwpsinfo_t pr_lwp;
} psinfo_t;

inline char PR_MODEL_ILP32 = 1;
inline char PR_MODEL_LP64 = 2;

inline int PR_STOPPED = 0x00000001;
inline int PR_ISTOP = 0x00000002;
inline int PR_DSTOP = 0x00000004;
inline int PR_IDLE = 0x10000000;

inline char SSLEEP = 1;
inline char SRUN = 2;
inline char SZOMB = 3;
inline char SSTOP = 4;
inline char SIDL = 5;
inline char SONPROC = 6;
inline char SWAIT = 7;

/* The kinds of ids that a process has, as enum pid_type of Linux counts them. */
inline int PIDTYPE_PID = 0;
inline int PIDTYPE_TGID = 1;
inline int PIDTYPE_PGID = 2;
inline int PIDTYPE_SID = 3;

translator psinfo_t < struct task_struct *task > {
	pr_nlwp = task->signal->nr_threads;
	pr_pid = task->tgid;
	pr_ppid = task->real_parent->tgid;
	pr_pgid = task->signal->pids[PIDTYPE_PGID]->numbers[0].nr;
	pr_sid = task->signal->pids[PIDTYPE_SID]->numbers[0].nr;
	pr_uid = task->cred->uid.val;
	pr_euid = task->cred->euid.val;
	pr_gid = task->cred->gid.val;
	pr_egid = task->cred->egid.val;
	pr_addr = (uintptr_t)task;
	pr_ttydev = task->signal->tty;
	pr_fname = task->comm;
	pr_psargs = execargs;
	pr_wstat = task->exit_code;
	pr_dmodel = PR_MODEL_LP64;
};

/* The bits of __state: 1 and 2 asleep, 4 stopped, 8 traced, 0x10 and 0x20 ended, 0x80 dead. */
translator lwpsinfo_t < struct task_struct *task > {
	pr_flag = task->__state & 0x4 ? PR_STOPPED : 0;
	pr_lwpid = task->pid;
	pr_addr = (uintptr_t)task;
	pr_state = task->__state & 0x3 ? SSLEEP : task->__state & 0xc ? SSTOP : task->__state & 0xb0 ? SZOMB : SRUN;
	pr_sname = task->__state & 0x3 ? 'S' : task->__state & 0xc ? 'T' : task->__state & 0xb0 ? 'Z' : 'R';
	pr_nice = task->static_prio - 120;
	pr_pri = task->prio;
	pr_name = task->comm;
	pr_onpro = task->thread_info.cpu;
	pr_bindpset = 0;
	pr_lgrp = 0;
};

inline psinfo_t *curpsinfo = xlate <psinfo_t *> (curthread);
inline lwpsinfo_t *curlwpsinfo = xlate <lwpsinfo_t *> (curthread);
