/*
 * A timer's arg0 is the kernel's program counter and arg1 the user's, 0 for the one that was not
 * running; all other arguments are 0.
 */
/* trigger: calls.py 20000000 */
profile-997, tick-997
/(arg0 != 0) == (arg1 != 0) || arg2 != 0/
{
	printf("arg0 %d, arg1 %d, arg2 %d\n", arg0, arg1, arg2);
	exit(1);
}

profile-997
/arg0 != 0/
{
	kernel = 1;
}

profile-997
/arg1 != 0/
{
	user = 1;
}

tick-997
/arg0 != 0 || arg1 != 0/
{
	ticked = 1;
}

tick-97
/kernel && user && ticked/
{
	printf("all seen\n");
	exit(0);
}
