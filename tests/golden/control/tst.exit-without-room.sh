# An exit() needs no room for its record.
ints=$(seq 1500 | sed 's/.*/, x/' | tr -d '\n')
format=$(seq 1500 | sed 's/.*/%d/' | tr -d '\n')
$rdtrace -q -x bufsize=1 -n "BEGIN { x = pid; printf(\"$format\"$ints); exit(3); } tick-10s { exit(9); }" 2> err; echo "status $?"
sed 's/CPU .*/CPU N/' err
