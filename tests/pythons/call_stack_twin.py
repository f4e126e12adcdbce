"""Prints what call_stack.d prints of a script, as the interpreter itself sees it."""

import os
import sys

lines = []
depth = None


def profile(frame, event, _argument):
    global depth
    if event not in ("call", "return"):
        return
    code = frame.f_code
    if event == "call" and code.co_name == "start" and depth is None:
        depth = 0
    if depth is None:
        return
    if event == "return":
        depth -= 1
    name = "function-entry" if event == "call" else "function-return"
    place = "%s:%s:%d" % (os.path.basename(code.co_filename), code.co_name, frame.f_lineno)
    lines.append("%15s:%s%s" % (name, " " * depth, place))
    if event == "call":
        depth += 1
    elif code.co_name == "start":
        depth = None


with open(sys.argv[1]) as script:
    code = compile(script.read(), sys.argv[1], "exec")
sys.setprofile(profile)
exec(code, {"__name__": "__main__"})
sys.setprofile(None)
print("\n".join(lines))
