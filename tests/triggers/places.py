"""Says at which line of which module it is, how deep, and calls getppid() there.

What it says goes to the file that is the first argument, a line for each call. The second argument is how many seconds
to wait before.
"""

import json
import os
import sys
import time
import types

said = []


def here(frame):
    """Notes the place of this frame."""
    depth, outer = 0, frame
    while outer:
        depth, outer = depth + 1, outer.f_back
    name = frame.f_globals.get("__name__")
    module = name if isinstance(name, str) else ""
    said.append("%d [%s] %d" % (frame.f_lineno, module, depth))
    return os.getppid


def lines():
    here(sys._getframe())()
    for i in range(3):
        here(sys._getframe())()
        if i == 1:
            here(sys._getframe())()
    values = [
        abs(i)
        for i in range(2)
    ]
    there = dict(
        a=str(
            values
        ), b=len(
            values
        ),
    )
    try:
        {}[there["a"]]
    except KeyError:
        here(sys._getframe())()
    finally:
        here(sys._getframe())()
    return (lambda: here(sys._getframe())())()


def generator():
    here(sys._getframe())()
    yield 1
    here(sys._getframe())()
    yield 2


def recursive(n):
    if n:
        return recursive(n - 1)
    return here(sys._getframe())()


class Text(str):
    pass


SOURCE = "\n\ndef f():\n    here(sys._getframe())()\n\nf()\n"


def in_globals(names):
    """Runs a function whose module is told by these names."""
    names = dict(names)
    name = names.pop("__name__", None)
    names.update(here=here, sys=sys)
    if name is not None:
        names["__name__"] = name
    exec(compile(SOURCE, "/made/globals.py", "exec"), names)


def modules():
    module = types.ModuleType("package.part")
    module.here, module.sys = here, sys
    exec(compile(SOURCE, "/made/module.py", "exec"), module.__dict__)
    in_globals({})
    in_globals({"__name__": "last"})
    # Tables with indices of one byte and of two, with and without hashes.
    for size in [20, 100, 400]:
        in_globals([("n%d" % i, i) for i in range(size)] + [("__name__", "large%d" % size)])
    in_globals([(7, 7), ("__name__", "hashed")])
    gone = {"n%d" % i: i for i in range(10)}
    for i in range(10):
        del gone["n%d" % i]
    gone["__name__"] = "after"
    exec(compile(SOURCE, "/made/gone.py", "exec"), dict(gone, here=here, sys=sys))
    in_globals({"__name__": 7})
    in_globals({"__name__": u"m\xf6dul"})
    in_globals({"__name__": u"\u6a21\u7d44"})
    in_globals({"__name__": Text("subclass")})


def long():
    """Functions with line tables of more than one piece."""
    for count in [1, 60, 700, 1500, 5000]:
        body = "".join("    x = [%d,\n  %d]\n" % (i, i) for i in range(count))
        source = "def many(x=0):\n" + body + "    here(sys._getframe())()\nmany()\n"
        exec(compile(source, "/made/long.py", "exec"), globals())
        # Lines that go back, and far.
        body = "".join("    x = [\n%s%d]\n" % ("\n" * (i % 300), i) for i in range(count % 100))
        source = "def many(x=0):\n" + body + "    here(sys._getframe())()\nmany()\n"
        exec(compile(source, "/made/far.py", "exec"), globals())


def main():
    here(sys._getframe())()
    lines()
    list(generator())
    recursive(50)
    json.dumps(object(), default=lambda _: here(sys._getframe())() and None)
    modules()
    long()


time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 0)
main()
with open(sys.argv[1], "w", encoding="utf-8") as out:
    out.write("".join(line + "\n" for line in said))
