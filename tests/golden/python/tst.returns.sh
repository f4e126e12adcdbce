# needs: frames (Linux 5.17)
# What a Python function returns is shown, compared and a key.
$rdtrace -q -n 'python$target:::function-return /copyinstr(arg1) == "value" && pyint(pyreturn) < 7/ { printf("%s %d\n", pyreturn, pyint(pyreturn)); @[pytype(pyreturn)] = count(); }' -c "$python $triggers/../pythons/returns.py /dev/null"
