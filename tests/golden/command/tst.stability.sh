# -v tells how firm the interfaces are that each source uses: the least of its descriptions and of its statements.
cat > script.d <<'D'
dtrace:::BEGIN, profile:::tick-1s { trace(getmajor(pid)); exit(0); }
D
$rdtrace -vqs script.d
$rdtrace -vqn 'BEGIN /curthread != NULL/ { trace("one") }' -n 'dtrace:::BEGIN { exit(0); }'
$rdtrace -veqn 'BEGIN { @ = count(); }'
