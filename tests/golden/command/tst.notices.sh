# What matched is told on standard error, once for each -n and -s.
echo 'BEGIN { } BEGIN { } END { }' > it.d
$rdtrace -n 'BEGIN,END' -s it.d -n 'BEGIN /1/ { exit(0); }' 2>&1 >/dev/null
