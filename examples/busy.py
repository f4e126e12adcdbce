"""Calls a few functions at different rates for a number of seconds (default 10), for calls.d and top.d."""

import sys
import time


def often():
    pass


def seldom():
    for _ in range(50):
        often()


def main(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        seldom()
        time.sleep(0.001)


main(float(sys.argv[1]) if len(sys.argv) > 1 else 10)
