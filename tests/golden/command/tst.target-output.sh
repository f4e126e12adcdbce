# The target's output is untouched by -o; quotes in -c are the shell's.
$rdtrace -q -o out -n 'END { printf("from rdtrace\n"); }' -c "sh -c 'echo \"from  the target\"'"
cat out
