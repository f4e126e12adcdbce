# Probes are in place when a shell script, by way of other programs, becomes a Python.
count='python$target:::function-entry /copyinstr(arg1) == "inner"/ { @ = count(); }'
$rdtrace -qn "$count" -c "sh $triggers/execs.sh $triggers/calls.py"
$rdtrace -qn "$count" -c "env -i $python $triggers/calls.py 2"
$rdtrace -qn "$count" -c "sh -c 'exec $python $triggers/calls.py 3'"
printf '#!/bin/sh\nexec %s "$@"\n' $python > shim && chmod +x shim
$rdtrace -qn "$count" -c "./shim $triggers/calls.py 4"
