/* args[n] has the type of the probe's argument: two texts in the traced program's memory, and an int. */
/* trigger: calls.py 3 */
python$target:::function-entry
/basename(stringof(args[0])) == "calls.py"/
{
	@calls[stringof(args[1]), sizeof (args[0]), sizeof (args[2])] = count();
}
