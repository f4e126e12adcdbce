# -F shows file, function and line; columns and times are masked.
$rdtrace -F -n 'python$target:::function-entry, python$target:::function-return
    /basename(copyinstr(arg0)) == "calls.py"/ { }' -c "$python $triggers/calls.py 1" 2>/dev/null | sed 's/^ *[0-9]* /  N /'
