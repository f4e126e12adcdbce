# -o appends; notices stay on standard error.
echo before > out
$rdtrace -o out -n 'BEGIN { printf("one"); exit(0); }'
$rdtrace -q -o out -n 'BEGIN { printf("two\n"); exit(0); }'
sed 's/^ *[0-9]* /  N /' out
