# Each clause that fires prints a line of its own; END comes last.
cat > it.d <<'D'
BEGIN { trace("one"); }
BEGIN { printf("two"); printf(" and more"); }
BEGIN { x = 1; }
BEGIN { exit(0); }
END { trace("end"); }
D
$rdtrace -s it.d 2>&1 | sed 's/^ *[0-9]* /  N /'
