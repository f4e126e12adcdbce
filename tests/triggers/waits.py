"""Calls start() every 10 ms, which calls helper(), until it is killed. Tells that it runs in a file."""

import sys
import time


def helper(n):
    return n


def start(n):
    return helper(n)


n = 0
while True:
    start(n)
    n += 1
    if n == 2 and len(sys.argv) > 1:
        open(sys.argv[1], "w").write("ready")
    time.sleep(0.01)
