"""Greenlets in several threads, each of which makes system calls. Says which one made each, and how many it had made.

    greenlets.py FILE [SECONDS [DIRECTORY]]

DIRECTORY has greenlet, and perhaps gevent.
"""

import os
import sys
import threading
import time

sys.path[:0] = sys.argv[3:]
said = []
local = threading.local()


def say():
    """A thread that has not looked for its greenlet has none."""
    os.getppid()
    number = id(greenlet.getcurrent()) if hasattr(local, "main") else 0
    counts = local.__dict__.setdefault("counts", {})
    counts[number] = counts.get(number, 0) + 1
    said.append((number, counts[number]))


def begin():
    local.main = greenlet.getcurrent()


# Until it is seen that Python is there, then greenlet.
seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 0
time.sleep(seconds)
say()
import greenlet

begin()
time.sleep(0.5 + seconds)


def numbers():
    for number in range(3):
        say()
        yield local.main.switch(number)


def values():
    yield from numbers()


def recursion(depth):
    say()
    if depth == 0:
        local.main.switch()
    else:
        recursion(depth - 1)
    say()


def caught():
    try:
        local.main.switch()
    except KeyError:
        say()
    raise ValueError


def nested():
    inner = greenlet.greenlet(lambda: (say(), recursion_of_inner(5)))
    say()
    inner.switch()
    say()
    local.main.switch()


def recursion_of_inner(depth):
    say()
    if depth:
        recursion_of_inner(depth - 1)


def switch_all():
    running = [
        greenlet.greenlet(lambda: list(values())),
        greenlet.greenlet(lambda: recursion(20)),
        greenlet.greenlet(lambda: sorted([3, 1, 2], key=lambda number: say() or local.main.switch())),
        greenlet.greenlet(nested),
    ]
    while running:
        for one in running:
            say()
            one.switch()
        say()
        running = [one for one in running if not one.dead]
    one = greenlet.greenlet(caught)
    one.switch()
    try:
        one.throw(KeyError)
    except ValueError:
        say()
    # Each is gone before the next one is made.
    for _ in range(20):
        greenlet.greenlet(say).switch()


def in_thread():
    say()
    begin()
    say()
    switch_all()


switch_all()
for _ in range(2):
    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    say()

# Threads in turns, each in a greenlet, one without any.
turns = [threading.Semaphore(0) for _ in range(4)]
turns[0].release()


def take_turns(which):
    for _ in range(10):
        turns[which].acquire()
        say()
        turns[(which + 1) % len(turns)].release()


def in_turns(which):
    if which:
        begin()
        greenlet.greenlet(take_turns).switch(which)
    else:
        take_turns(which)
    say()


threads = [threading.Thread(target=in_turns, args=(which,)) for which in range(len(turns))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()

try:
    import gevent
except ImportError:
    gevent = None
if gevent:

    def sleeps(turns):
        for _ in range(turns):
            say()
            gevent.sleep(0.001)

    gevent.joinall([gevent.spawn(sleeps, turns) for turns in range(10)])
    say()

with open(sys.argv[1], "w", encoding="utf-8") as out:
    out.write("".join("%d %d\n" % one for one in said))
