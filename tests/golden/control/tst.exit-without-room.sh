# An exit() needs no room for its record: the clauses before its own have filled the buffers of all CPUs.
ints=$(seq 600 | sed 's/.*/, x/' | tr -d '\n')
format=$(seq 600 | sed 's/.*/%d/' | tr -d '\n')
clause="BEGIN { printf(\"$format\"$ints);"
echo "int x;" > many.d; for part in $(seq $((4 * $(nproc)))); do echo "$clause }"; done >> many.d
echo "$clause exit(3); } tick-10s { exit(9); }" >> many.d
$rdtrace -q -x bufsize=4k -s many.d > out 2> err; echo "status $?"
sed 's/[0-9]* drops* on CPU .*/N drops/' err
# Buffers that cannot hold one record are refused, as by libdtrace.
$rdtrace -q -x bufsize=1 -n "int x; $clause exit(3); }" 2>&1; echo "status $?"
