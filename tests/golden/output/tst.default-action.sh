# An empty clause prints the probe; so do clauses without a record of their own but exit().
$rdtrace -n 'BEGIN' -n 'BEGIN { }' -n 'BEGIN { exit(0); }' 2>&1 | sed 's/^ *[0-9]* /  N /'
