# -l shows a Python's probes, with the function that holds each site; ids and pids are masked.
mask() { sed 's/^ *[0-9][0-9]* python[0-9]* */ID PROVIDER /; s/ (synthesised)$//' | sort; }
$rdtrace -l -n 'python$target:::' -c "$python -c 1" | tr -s ' ' | mask | awk '{ print $1, $2, $3, $NF }' | sort -u
