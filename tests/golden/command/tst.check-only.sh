# -e compiles and does not trace.
$rdtrace -en 'BEGIN { printf("never\n"); exit(3); }'; echo "status $?"
