# setopt() sets an option from there on; one that must be known before, or that there is not, is told.
$rdtrace -n 'BEGIN { trace(1); setopt("quiet"); trace(2); } END { trace(3); } tick-10ms { exit(0); }' 2>&1 | tail -n +2 | cut -c4-
$rdtrace -qn 'BEGIN { setopt("aggsortrev", "set"); @["a"] = sum(1); @["b"] = sum(2); exit(0); }'
$rdtrace -qn 'BEGIN { setopt("strsize", "12"); setopt("nosuch"); setopt("switchrate", "fast"); printf("next\n"); exit(0); }' 2>&1
