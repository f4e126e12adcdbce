/*
 * A function's return has its result as arg1, whichever way it leaves: by several `ret`
 * instructions, or by a jump to another function.
 */
/* trigger: functions.c 3 */
pid$target:a.out:sum:return,
pid$target:a.out:last:return,
pid$target:a.out:twice:return
{
	printf("%s %s %d %d\n", probefunc, probename, arg0, arg1);
}

pid$target:libc.so.6:getenv:return
{
	@[arg1] = count();
}
