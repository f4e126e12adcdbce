"""Says where it is, and calls getppid() there, called by C in many ways.

The lists go to the file that is the first argument, the innermost function first, a blank line behind each; "C" stands
for functions in C between those of Python. The second argument is how many seconds to wait before.
"""

import _thread
import functools
import os
import signal
import sys
import time

try:
    import ctypes
except ImportError:
    ctypes = None

lists = []

# The functions that C calls in all versions.
called_by_c = {"<module>", "key", "folded", "compare", "handler", "mapped", "__lt__", "substitute", "through", "bottom"}


def here(frame):
    """Notes the frames from this one on."""
    lines = ["C"]
    while frame:
        code = frame.f_code
        lines.append("%s:%d %s" % (code.co_filename, frame.f_lineno, code.co_name))
        if code.co_name in called_by_c:
            lines.append("C")
        frame = frame.f_back
    lists.append(lines)
    return os.getppid


def recursive(n):
    if n:
        return recursive(n - 1)
    here(sys._getframe())()
    return 0


def key(x):
    return recursive(x)


def mapped(x):
    return sorted([3, 1, 2], key=key)


def folded(x, y):
    return list(map(mapped, [x, y]))


class Ordered:
    def __lt__(self, other):
        return functools.reduce(folded, [1, 2]) is None


def substitute(match):
    here(sys._getframe())()
    return "x"


def handler(number, frame):
    recursive(2)


def compare(a, b):
    return recursive(1)


def in_c():
    array = (ctypes.c_int * 3)(3, 1, 2)
    function = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(compare)
    ctypes.CDLL(None).qsort(array, 3, 4, function)


def nested(n):
    """Runs Python in C in Python ..."""
    if n == 0:
        return recursive(3)
    return sorted([n], key=key if n == 1 else functools.partial(through, n))


def through(n, x):
    return nested(n - 2)


def bottom(target, done):
    """The first function of a thread."""
    target(3)
    done.release()


def main():
    recursive(5)
    sorted([Ordered(), Ordered()])
    import re
    re.sub("a", substitute, "banana")
    signal.signal(signal.SIGUSR1, handler)
    os.kill(os.getpid(), signal.SIGUSR1)
    nested(9)
    if ctypes:
        in_c()
    exec(compile("\n\nrecursive(1)", "/made/mixed.py", "exec"), globals())
    for target in (recursive, nested):
        done = _thread.allocate_lock()
        done.acquire()
        _thread.start_new_thread(bottom, (target, done))
        done.acquire()


time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 0)
main()
with open(sys.argv[1], "w") as out:
    for lines in lists:
        out.write("\n".join(lines) + "\n\n")
