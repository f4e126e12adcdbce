/*
 * An offset is a place in a function; 0 is its first instruction, which the entry probe is at as well.
 */
/* trigger: functions.c 2 */
pid$target:a.out:twice:0,
pid$target:a.out:twice:entry
{
	@[probename] = count();
}
