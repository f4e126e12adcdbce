/* All eight markers fire, as often as the program makes them. */
/* trigger: markers.py */
python$target:::function-entry /copyinstr(arg1) == "begin"/ { traced = 1; }
python$target:::function-return /copyinstr(arg1) == "end"/ { traced = 0; }
python$target:::function-entry,
python$target:::function-return,
python$target:::line
/traced && basename(copyinstr(arg0)) == "markers.py"/
{
	@[probename, copyinstr(arg1)] = count();
}
python$target:::gc-start /traced/ { @[probename, lltostr(arg0)] = count(); }
python$target:::gc-done /traced/ { @[probename, arg0 >= 0 ? "a number" : "negative"] = count(); }
python$target:::import-find-load-start,
python$target:::import-find-load-done
/traced/
{
	@[probename, copyinstr(arg0)] = count();
}
python$target:::audit /traced && copyinstr(arg0) == "rdtrace.test"/ { @[probename, copyinstr(arg0)] = count(); }
