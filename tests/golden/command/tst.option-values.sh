# Values of options are read as libdtrace reads them.
for option in quiet=OFF quiet=0x10 quiet=-1 bufsize=0x10k bufsize=4kb bufsize=1.5k bufpolicy=fill bufpolicy=x \
	cleanrate=1x switchrate=100ms errtags=1 aggpercpu=1 zdefs=0 version=2.0 evaltime=exec evaltime=x stdc=x \
	strsize=0 cppargs= cppargs linktype=elf linkmode=x; do
	echo "$option: $($rdtrace -x "$option" -x NOSUCH -en BEGIN 2>&1)"
done
$rdtrace -x quiet=0 -n 'BEGIN { printf("quiet\n"); exit(0); }'
DTRACE_OPT_QUIET=1 DTRACE_OPT_NOSUCH=1 $rdtrace -n 'BEGIN { printf("quiet, too\n"); exit(0); }'
$rdtrace -qx bufsize=1 -n 'BEGIN { trace(pid); exit(0); }' 2>&1
$rdtrace -qx aggsize=8 -n 'BEGIN { @[1] = quantize(1); exit(0); }' 2>&1
$rdtrace -qx dynvarsize=7 -n 'BEGIN { x[1] = 1; exit(0); }' 2>&1
$rdtrace -vqx switchrate=1s -x bufpolicy=ring -n 'BEGIN { exit(0); }' 2>&1 | grep effect
