# Calls of functions in C are meant by their names, not by a description of all probes, and have their arguments in D.
$rdtrace -ln 'python$target:::cfunction-*' -c "$python -c 1" | tr -s ' ' | cut -d ' ' -f 4-
$rdtrace -lvn 'python$target:::cfunction-return' -c "$python -c 1" | grep -A 4 'Argument Types'
$rdtrace -ln 'python$target:::' -c "$python -c 1" | grep cfunction | wc -l
