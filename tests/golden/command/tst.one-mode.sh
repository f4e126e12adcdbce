# -l and -V exclude each other.
$rdtrace -lV 2>err; echo "status $?"
head -n 1 err
