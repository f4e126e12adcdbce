# A kernel's stack shows by its functions, innermost first, in all forms; in BEGIN there is none.
# One thread alone: until exit() has come to all CPUs another one's call would be counted too.
at='syscall:::entry /tid == $pid/'
$rdtrace -q -n "$at"' { stack(); exit(0); }' | grep -c '^              vmlinux`[a-zA-Z_0-9.]*+0x[0-9a-f]*$' |
    awk '{ print ($1 >= 2) ? "functions of the kernel" : "no such function" }'
$rdtrace -q -n "$at"' { printf("%k", stack(1)); exit(0); }' | awk 'NR == 1 { print "[" $0 "]" } NR == 2 { print ($0 ~ /^vmlinux`/) }'
$rdtrace -q -n "$at"' { printf("%d %d\n", stackdepth > 1, caller != 0); exit(0); }'
$rdtrace -q -x stackframes=1 -n "$at"' { stack(); exit(0); }' | grep -c '`'
$rdtrace -q -x stackindent=3 -n "$at"' { stack(1); exit(0); }' | grep -c '^   vmlinux`'
# Two addresses in one function are one key.
$rdtrace -q -n "$at"' { @[sym(caller)] = count(); @[func(caller + 1)] = count(); exit(0); }' | awk '/`/ { print $2 }'
$rdtrace -q -n "$at"' { @[stack(2), 7] = count(); exit(0); }' | awk '/`/ { frames++ } END { print frames } $1 == 7 { print }'
$rdtrace -q -n 'BEGIN { stack(); printf("%d %d\n", stackdepth, caller); exit(0); }'
