# needs: frames (Linux 5.17)
# Arguments and attributes of a Python function are shown, compared and keys where it makes a system call.
$rdtrace -q -n 'syscall::getppid:entry /pid == $target && pystr(pyself("owner")) == "ann"/ { printf("%s %s %d\n", pyfunc, pyself("owner"), pyint(pyarg("amount"))); @[pyint(pyself("limit")), pytype(pyarg(0))] = count(); }' -c "$python $triggers/../pythons/attributes.py /dev/null"
$rdtrace -q -n 'BEGIN { printf("[%s] %d [%s]\n", pyarg(0), pyint(pylocal("x")), pystr(pyattr(pyarg(0), "x"))); exit(0); }'
