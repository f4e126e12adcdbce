/* In BEGIN the firing process is rdtrace itself; its parent comes from the kernel's own records. */
BEGIN
{
	printf("%d %d\n", pid == $pid, ppid == $ppid);
	printf("%s\n", execname == "rdtrace" ? "rdtrace" : execname);
	self->before = vtimestamp;
	printf("%d\n", vtimestamp >= self->before);
	exit(0);
}
