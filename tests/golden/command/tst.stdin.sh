# A script may come from /dev/stdin.
printf '%s' 'BEGIN { printf("from stdin\n"); exit(0); }' | $rdtrace -qs /dev/stdin
