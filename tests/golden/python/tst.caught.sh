# needs: all of the stack (Linux 6.9)
# An exception comes to the handlers of a program with its class and message; there it is pyexception, and the line is the handler's.
$rdtrace -qn 'python$target:::exception-caught /basename(args[2]) == "catches.py" && args[0] != "Problem"/
    { @[args[0], args[1], args[3]] = count(); }
    python$target:::exception-caught /args[1] == "deep"/
    { @[pytype(pyexception), pystr(pyexception), pyline] = count(); }
    python$target:::exception-caught /pystr(pyexception) == "named" && pytraceback == 0/ { exit(1); }' \
    -c "$python $triggers/catches.py /dev/null 0"
$rdtrace -lvn 'python$target:::exception-caught' -c "$python -c 1" | grep -A 4 'Argument Types'
