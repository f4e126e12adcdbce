# A probe in the kernel that fires in the middle of another one's clause on the same thread is dropped if it
# needs the thread's memory, which is in use, and that is told. The other one goes on.
cc -o calls $triggers/system_calls.c
$rdtrace -qn '
syscall::getppid:entry /pid == $target/ { self->inside = 1; @["calls"] = count(); trace(copyinstr(4096)); }
syscall::getppid:return /pid == $target && self->inside/ { self->inside = 0; @["returns"] = count(); }
rawtp:exceptions::page_fault_kernel /pid == $target && arg0 == 4096 && self->inside/ { @["seen"] = count(); }
' -c './calls 3' 2>errors
grep -c 'invalid address (0x1000)' errors
grep -o 'firings dropped while the same thread was busy with another' errors
