"""Two threads, each calling functions of its own N times."""

import sys
import threading


def left():
    pass


def right():
    pass


def call(function, times):
    for _ in range(times):
        function()


threads = [threading.Thread(target=call, args=(f, int(sys.argv[1]))) for f in (left, right)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
