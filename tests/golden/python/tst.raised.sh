# needs: all of the stack (Linux 6.9)
# Exceptions are told once, where they are raised, with class, message and line, and are keys.
$rdtrace -qn 'python$target:::exception-raise /basename(args[2]) == "raises.py" && args[0] != "Problem"/
    { @[args[0], args[1], args[3]] = count(); }
    python$target:::exception-raise /args[1] == "own"/ { @["own", basename(args[2]), args[3]] = count(); }' \
    -c "$python $triggers/raises.py /dev/null 0"
$rdtrace -lvn 'python$target:::exception-raise' -c "$python -c 1" | grep -A 4 'Argument Types'
$rdtrace -ln 'python$target:::' -c "$python -c 1" | grep exception | wc -l
$rdtrace -qn 'python$target:::exception-raise { trace(arg0); }' -c "$python -c 1" 2>&1 | grep -o 'arg0 is a string.*'
