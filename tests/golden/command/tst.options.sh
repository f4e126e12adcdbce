# -x sets options; -b, -q, -F, -w and -Z are short for some; a pragma overrides.
$rdtrace -xquiet -xstrsize=8 -n 'BEGIN { x = strjoin("abcdef", "ghijkl"); printf("[%s]\n", x); exit(0); }'
$rdtrace -q -b 64k -x bufsize=1m -n 'BEGIN { printf("ok\n"); exit(0); }'
$rdtrace -x nosuch=1 -n BEGIN 2>&1; echo "status $?"
$rdtrace -x strsize=many -n BEGIN 2>&1; echo "status $?"
