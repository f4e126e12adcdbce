# A listing shows system calls by the kernel's names, and with -v the types of their arguments.
$rdtrace -ln 'syscall::newuname:,syscall::read:entry' | sed 's/^ *[0-9]* /n /'
$rdtrace -lvn 'syscall::openat:' | sed -n '/Argument/,$p' | sed 's/^ *[0-9]* /n /'
$rdtrace -l -P syscall | grep -c ' read entry$'
