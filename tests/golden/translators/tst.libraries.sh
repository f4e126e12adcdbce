# Libraries of a directory are read before the program, each after those that it depends on.
mkdir lib
cat > lib/a.d <<'D'
#pragma D depends_on library b.d
inline int TWICE = ONCE * 2;
translator struct shown < int n > { x = n + TWICE; };
D
cat > lib/b.d <<'D'
inline int ONCE = ENOENT;
struct shown { int x; };
D
program='BEGIN { printf("%d %d\n", TWICE, xlate <struct shown> (3).x); exit(0); }'
$rdtrace -L lib -qn "$program"
$rdtrace -x libdir=lib -qn "$program"
$rdtrace -x nolibs -L lib -xerrtags -qn "$program" 2>&1 | head -1
$rdtrace -L nosuch -qn "BEGIN { exit(0); }" 2>&1; echo "status $?"
echo 'inline int BAD = nosuch;' > lib/c.d
$rdtrace -L lib -xerrtags -qn "$program" 2>&1 | head -1
