# -l lists what descriptions match, and goes on when one matches nothing.
$rdtrace -ln 'dtrace:::' | tr -s ' '
$rdtrace -ln 'foo:::bar' 2>&1; echo "status $?"
$rdtrace -lP dtrace | wc -l
$rdtrace -lvn 'BEGIN'
