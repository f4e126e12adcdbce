/* Addresses of a process have their names when it has ended; those in one variable are one key. */
/* trigger: functions.c 3 */
pid$target:libc.so.6:getenv:entry
{
	@[usym(arg0 + tid % 3), umod(arg0)] = count();
	printf("%A ", arg0 + 2);
	uaddr(arg0 + 1);
	ufunc(arg0 + 4);
	printf("|\n");
}
