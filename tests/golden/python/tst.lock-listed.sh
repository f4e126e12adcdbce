# The probes of the lock are meant by their names, not by a description of all probes.
$rdtrace -ln 'python$target:::gil-*' -c "$python -c 1" | tr -s ' ' | cut -d ' ' -f 4-
$rdtrace -lvn 'python$target:::gil-acquire' -c "$python -c 1" | grep -A 2 'Argument Types'
$rdtrace -ln 'python$target:::' -c "$python -c 1" | grep gil | wc -l
