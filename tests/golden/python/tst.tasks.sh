# needs: frames (Linux 5.17)
# The name of the asyncio task that a system call is made in is shown, compared and a key.
$rdtrace -q -n 'syscall::getppid:entry /pid == $target && pyfunc != ""/ { printf("[%s]\n", pytask); } syscall::getppid:entry /pytask == "second"/ { @[pytask, pyfunc] = count(); }' -c "$python $triggers/tasks.py"
