# Without -Z a probe that does not exist is an error; with it, nothing is.
$rdtrace -qn 'foo:::bar' 2>&1; echo "status $?"
$rdtrace -Zn 'foo:::bar' -n 'BEGIN { exit(0); }' 2>&1 >/dev/null; echo "status $?"
