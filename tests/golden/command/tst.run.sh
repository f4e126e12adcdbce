# Scripts that come with rdtrace: their names, their text, and what is wrong with a call.
$rdtrace run | grep -c '  Shows'  | grep -qx '[0-9]*' && echo listed
$rdtrace run line --show | head -n 1
$rdtrace run line --show --all | grep '^python'
$rdtrace run -e line
$rdtrace run line
echo "status $?"
$rdtrace run nosuch 2>&1 | head -n 1 | cut -d: -f1-2
$rdtrace flamegraph-diff nosuch.folded other.folded
echo "status $?"
