"""Says where it is, and calls getppid() there: in all kinds of frames.

The lists go to the file that is the first argument, the innermost function first, a blank line behind each. The
second argument is how many seconds to wait before.
"""

import os
import sys
import threading
import time

lists = []


def here(frame):
    """Notes the frames from this one on."""
    lines = []
    while frame:
        code = frame.f_code
        lines.append("%s:%d %s" % (code.co_filename, frame.f_lineno, code.co_name))
        frame = frame.f_back
    lists.append(lines)
    return os.getppid


def recursive(n):
    if n:
        return recursive(n - 1)
    here(sys._getframe())()


def generator():
    here(sys._getframe())()
    yield 1
    here(sys._getframe())()


def delegating():
    yield from generator()


async def coroutine():
    here(sys._getframe())()


async def awaiting():
    await coroutine()


class Made:
    def __init__(self):
        here(sys._getframe())()

    def __del__(self):
        here(sys._getframe())()

    def __lt__(self, other):
        here(sys._getframe())()
        return False


def handler():
    try:
        raise KeyError
    except KeyError:
        here(sys._getframe())()
    finally:
        here(sys._getframe())()


def über_größe(arg=None):
    here(sys._getframe())()
    return arg


def again(n):
    """The same place in memory has the code of one after the other."""
    for i in range(n):
        source = "\n" * i + "def made_%d(): here(sys._getframe())()\nmade_%d()" % (i, i)
        exec(compile(source, "/made/%d.py" % i, "exec"), globals())


def long():
    """A function with a line table of more than one piece."""
    body = "".join("    x = [%d,\n  %d]\n" % (i, i) for i in range(1500))
    source = "def many_lines(x=0):\n" + body + "    here(sys._getframe())()\nmany_lines()\n"
    exec(compile(source, "/made/long.py", "exec"), globals())


def main():
    here(sys._getframe())()
    recursive(5)
    list(generator())
    list(delegating())
    try:
        awaiting().send(None)
    except StopIteration:
        pass
    made = [Made(), Made()]
    sorted(made)
    del made
    handler()
    über_größe()
    (lambda: here(sys._getframe())())()
    [here(sys._getframe())() for _ in range(2)]
    list(map(über_größe, [1, 2]))
    again(30)
    long()
    thread = threading.Thread(target=recursive, args=(3,))
    thread.start()
    thread.join()
    recursive(700)


time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 0)
main()
with open(sys.argv[1], "w", encoding="utf-8") as out:
    for lines in lists:
        out.write("\n".join(lines) + "\n\n")
