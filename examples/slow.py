"""Calls a fast function often and a slow one twice, for slow.d."""

import time


def fast():
    return 42


def slow(seconds):
    time.sleep(seconds)
    return fast()


def main():
    for _ in range(100):
        fast()
    slow(0.15)
    slow(0.05)


main()
