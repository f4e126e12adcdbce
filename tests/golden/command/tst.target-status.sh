# The target's end is told, unless -q.
sh() { $rdtrace -n 'END { printf("over"); }' -c "$1" 2>&1 >/dev/null | sed 's/pid [0-9]*/pid N/'; }
sh true; sh false; sh "sh -c 'kill -9 \$\$'"
$rdtrace -qn 'END { printf("over\n"); }' -c false; echo "status $?"
