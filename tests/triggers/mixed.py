"""Calls functions of its own, named by its first argument, N times; for the stress test.

Each process has a name of its own; every call passes through a function and a file of that name,
so a record whose strings are of two processes shows.
"""

import sys

name, calls = sys.argv[1], int(sys.argv[2])
source = f"def f_{name}():\n    pass\n\nfor _ in range({calls}):\n    f_{name}()\n"
exec(compile(source, f"/{name * 3}/{name}.py", "exec"))
