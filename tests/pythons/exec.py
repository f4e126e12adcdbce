"""Becomes itself in the middle of functions, twice."""
import os
import sys


def last():
    pass


def again(left):
    if left == 0:
        return last()
    os.execv(sys.executable, [sys.executable, __file__, str(left - 1)])


def main():
    again(int(sys.argv[1]))


main()
