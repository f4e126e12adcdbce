/*
 * A function's entry has its arguments, from registers and from the stack; the program is `a.out`,
 * and a library may be called by the start of its name.
 */
/* trigger: functions.c 3 */
pid$target:a.out:sum:entry
{
	printf("%s %s %s %d %d %d %d %d %d %d %d\n", probemod, probefunc, probename, arg0, arg1,
	    arg2, arg3, arg4, arg5, arg6, arg7);
}

pid$target:functions:sum:entry
{
	@["again"] = count();
}

pid$target:libc.so.6:getenv:entry,
pid$target:libc:getenv:entry,
pid$target:libc.so:geten?:entry
/copyinstr(arg0) == "RDTRACE_TEST"/
{
	@[probefunc] = count();
}
