/* needs: frames (Linux 5.17) */
/* A thread lets go of Python's lock where it may block, and asks for it behind that. */
/* trigger: naps.py */
python$target:::gil-wait, python$target:::gil-acquire, python$target:::gil-release
/pyfunc == "nap"/
{
	@[probename] = count();
}
python$target:::gil-acquire
/pyfunc == "nap" && arg0 > 0/
{
	@["after a time"] = count();
}
