# A source without a clause is an error, as in DTrace: it does not run without end.
echo 'int x;' | $rdtrace -xerrtags -qs /dev/stdin 2>&1; echo "status $?"
