/* Every call of a Python function is seen once, with its file, name and line. */
/* trigger: calls.py 50 */
python$target:::function-entry
/basename(copyinstr(arg0)) == "calls.py"/
{
	@entries[copyinstr(arg1), arg2] = count();
}
python$target:::function-return
/basename(copyinstr(arg0)) == "calls.py"/
{
	@returns[copyinstr(arg1), arg2] = count();
}
