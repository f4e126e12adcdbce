# Operands are $1, $2...: an integer, a name or a string by form; $$1 is always a string.
$rdtrace -qn 'BEGIN { printf("%d %s %s\n", $1 * 2, $$2, $$1); exit(0); }' 21 word
$rdtrace -qn 'BEGIN { $1 = 5; printf("%d\n", variable); exit(0); }' variable
$rdtrace -qn 'BEGIN { printf("%s\n", $1); exit(0); }' '"quoted"'
$rdtrace -qn 'BEGIN { printf("%s %d [%s]\n", $$0, $1, $$2); exit(0); }' -xdefaultargs | sed 's/^[^ ]*/NAME/'
$rdtrace -qn '$1 { printf("%s\n", probename); exit(0); }' BEGIN
