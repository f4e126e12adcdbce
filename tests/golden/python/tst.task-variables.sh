# needs: all of the stack (Linux 6.9)
# A variable of a task lives from one of its turns to the next; outside of tasks it is 0, and what is stored is dropped.
$rdtrace -q -n 'syscall::getppid:entry /pid == $target && pyfunc != ""/ { task->turns++; task->in[pyfunc] = task->turns * 10; printf("[%s] %d %d\n", pytask, task->turns, task->in["work"]); } syscall::getppid:entry /task->turns == 2/ { task->name = strjoin(pytask, "!"); } syscall::getppid:entry /task->name != NULL/ { printf("%s\n", task->name); task->name = NULL; }' -c "$python $triggers/tasks.py"
# A program's own `task` is that.
$rdtrace -q -n 'BEGIN { task = curthread; printf("%d\n", task->tgid == pid); task->x = 1; }' 2>&1
$rdtrace -q -n 'BEGIN { trace(task->nothing); }' 2>&1
$rdtrace -q -n 'BEGIN { task->a[1] = 1; task->a = 2; }' 2>&1
$rdtrace -q --dump typed -n 'BEGIN { task->a[1] = task->b = 1; trace(task->b + task->a[1]); }'
exit 0
