# Entries of generators and coroutines say whether they go on; where that is not known it is refused.
$rdtrace -q -n 'python$target:::function-entry /basename(copyinstr(arg0)) == "resumes.py" && copyinstr(arg1) == "catches"/ { printf("%d\n", pyresumed); }' -n 'python$target:::function-entry /pyresumed/ { @[copyinstr(arg1)] = count(); } END { trunc(@, 1); }' -c "$python $triggers/../pythons/resumes.py /dev/null"
$rdtrace -n 'python$target:::function-return { trace(pyresumed); }' -c "$python -c pass" 2>&1
$rdtrace -n 'syscall::getppid:entry { trace(pyresumed); }' 2>&1
exit 0
