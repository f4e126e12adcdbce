# -F has its own header, and columns even with -q.
$rdtrace -F -n 'BEGIN { trace(1); exit(0); }' 2>&1 | sed 's/^ *[0-9]* /  N /'
$rdtrace -qF -n 'BEGIN { trace(1); exit(0); }' 2>&1 | sed 's/^ *[0-9]* /  N /'
