# What changes the system needs -w.
for action in 'system("true")' 'freopen("f")' 'raise(0)' 'stop()'; do
	$rdtrace -qn "BEGIN { $action; exit(0); }"; echo "status $?"
done 2>&1
$rdtrace -wn 'BEGIN { system("true"); exit(0); }' 2>&1 | head -2
echo '#pragma D option destructive
BEGIN { system("echo allowed"); exit(0); }' > script.d
$rdtrace -qs script.d
