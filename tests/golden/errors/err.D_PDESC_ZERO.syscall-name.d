/*
 * A C program's name for a system call is not always the kernel's.
 */
BEGIN
{
}

syscall::stat:entry
{
}
