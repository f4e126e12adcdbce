# Strings that are so long are looked through by other loops, with the same result.
$rdtrace -q -x strsize=2000 -s "$(dirname "$0")/tst.letters-and-tokens.d"
