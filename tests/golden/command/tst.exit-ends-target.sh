# When exit() ends the run before the command, the command is ended too.
$rdtrace -qn 'tick-50ms { exit(3); }' -c "sleep 87.65"; echo "status $?"
pgrep -f '^sleep 87.65' | wc -l
