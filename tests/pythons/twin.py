"""What the interpreter itself sees of a script's functions, thread by thread.

`python twin.py SCRIPT` calls the script's function `everything`, as `python SCRIPT` does. With `c` behind it, what Python code calls of
functions written in C is told, too.
"""

import sys
import threading

events = {}


def profile(frame, event, argument):
    if event in ("call", "return"):
        code = frame.f_code
        line = -1 if frame.f_lineno is None else frame.f_lineno
        seen = events.setdefault(threading.get_ident(), [])
        sign = ">" if event == "call" else "<"
        seen.append("%s %s %s %d" % (sign, code.co_filename, code.co_name, line))
    elif with_c:
        line = -1 if frame.f_lineno is None else frame.f_lineno
        seen = events.setdefault(threading.get_ident(), [])
        sign = ">" if event == "c_call" else "<"
        module = argument.__module__ or "-"
        seen.append("%s %s c:%s:%s %d" % (sign, frame.f_code.co_filename, module, argument.__name__, line))


script = sys.argv[1]
with_c = sys.argv[2:] == ["c"]
with open(script) as file:
    code = compile(file.read(), script, "exec")
space = {"__name__": "twin", "__file__": script}
exec(code, space)
threading.setprofile(profile)
sys.setprofile(profile)
space["everything"]()
sys.setprofile(None)
threading.setprofile(None)
for seen in events.values():
    print("thread")
    print("\n".join(seen))
