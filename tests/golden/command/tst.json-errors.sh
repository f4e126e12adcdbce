# With --format json an error is JSON, with its tag and place.
printf 'BEGIN\n{\n\ttrace(nosuch);\n\texit(0);\n}\n' >wrong.d
$rdtrace --format json -s wrong.d 2>&1 >/dev/null |
    $python -c 'import json, sys
for line in sys.stdin:
    e = json.loads(line)
    print(e["event"], e["tag"], e.get("file"), e["line"], e["column"], e["message"].splitlines()[0])'
$rdtrace --format json -n 'BEGIN { trace(nosuch) }' 2>&1 >/dev/null |
    $python -c 'import json, sys
e = json.loads(sys.stdin.read())
print(e["tag"], e.get("file"), e["line"], e["column"])'
$rdtrace --format json -s nowhere.d 2>&1
echo "status $?"
