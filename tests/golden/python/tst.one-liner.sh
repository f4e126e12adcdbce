# The one-liner of the README, on a command.
$rdtrace -qn 'python$target:::function-entry /copyinstr(arg1) == "outer"/ { @[basename(copyinstr(arg0))] = count(); }' \
    -c "$python $triggers/calls.py 7"
