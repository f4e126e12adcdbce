# Probes are in place when a shell script, by way of other programs, becomes a Python.
# That a program is waited for is told only where it is slow to come.
traced() {
    $rdtrace "$@" 2>messages || exit
    sed '/ matches no probe yet: /d' messages >&2
}
count='python$target:::function-entry /copyinstr(arg1) == "inner"/ { @ = count(); }'
traced -qn "$count" -c "sh $triggers/execs.sh $triggers/calls.py"
traced -qn "$count" -c "env -i $python $triggers/calls.py 2"
traced -qn "$count" -c "sh -c 'exec $python $triggers/calls.py 3'"
printf '#!/bin/sh\nexec %s "$@"\n' $python > shim && chmod +x shim
traced -qn "$count" -c "./shim $triggers/calls.py 4"
