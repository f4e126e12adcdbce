# Becomes a Python by way of env, after other programs have run.
/bin/true
exec env A=1 /usr/bin/python3 "$1" 1
