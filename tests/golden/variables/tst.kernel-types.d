/* Types of the running kernel: those that the program names and does not define. */
typedef int own_t;
BEGIN { printf("%d %d\n", curthread->pid == tid, curthread->tgid == pid); }
BEGIN { printf("%d\n", curthread->comm == execname); }
BEGIN { printf("%d\n", curthread->real_parent->tgid == ppid); }
BEGIN { this->t = curthread; printf("%d\n", ((struct task_struct *)this->t)->cred->uid.val == uid); }
BEGIN { this->u = curthread->cred->uid; printf("%d %d\n", this->u.val == uid, sizeof(kuid_t)); }
BEGIN { printf("%d %d\n", sizeof(struct list_head), sizeof(own_t)); }
BEGIN { exit(0); }
