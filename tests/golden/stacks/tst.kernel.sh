# A kernel's stack shows by its functions, innermost first, in all forms.
$rdtrace -q -n 'BEGIN { stack(); exit(0); }' | grep -c '^              vmlinux`[a-z_0-9.]*bpf[a-z_0-9.]*+0x[0-9a-f]*$' |
    awk '{ print ($1 >= 2) ? "the system call that runs BEGIN" : "no such function" }'
$rdtrace -q -n 'BEGIN { printf("%k", stack(1)); exit(0); }' | awk 'NR == 1 { print "[" $0 "]" } NR == 2 { print ($0 ~ /^vmlinux`/) }'
$rdtrace -q -n 'BEGIN { printf("%d %d\n", stackdepth > 2, caller != 0); exit(0); }'
$rdtrace -q -x stackframes=1 -n 'BEGIN { stack(); exit(0); }' | grep -c '`'
$rdtrace -q -x stackindent=3 -n 'BEGIN { stack(1); exit(0); }' | grep -c '^   vmlinux`'
# Two addresses in one function are one key.
$rdtrace -q -n 'BEGIN { @[sym(caller)] = count(); @[func(caller + 1)] = count(); exit(0); }' | awk '/`/ { print $2 }'
$rdtrace -q -n 'BEGIN { @[stack(2), 7] = count(); exit(0); }' | awk '/`/ { frames++ } END { print frames } $1 == 7 { print }'
