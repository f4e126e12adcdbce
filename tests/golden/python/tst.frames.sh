# needs: frames (Linux 5.17)
# Which Python function a thread is in can be asked in a probe of the C library, and is a key, a predicate and shown.
trigger="$python $triggers/frames.py /dev/null"
$rdtrace -q -n 'pid$target:libc.so.6:getppid:entry /pyfunc == "coroutine"/ { @[basename(pyfile), pyfunc, jstack(2)] = count(); }' -c "$trigger" | sed 's|/.*/||'
$rdtrace -q -n 'pid$target:libc.so.6:getppid:entry /pyqualname == "Made.__lt__"/ { printf("%d\n", pyframe != 0); jstack(1); pystack(1); }' -c "$trigger" | sed 's|/.*/||'
$rdtrace -q -n 'BEGIN { printf("[%s] [%s] %d\n", pyfile, pyfunc, pyframe); jstack(); exit(0); }'
$rdtrace -q -n 'pid$target:libc.so.6:getppid:entry /pyfunc == "lines" && pyline > 35/ { @[pymodule, pyline, pydepth] = count(); }' -c "$python $triggers/places.py /dev/null"
$rdtrace -q -n 'BEGIN { printf("[%s] %d %d\n", pymodule, pyline, pydepth); exit(0); }'
