"""Two ways through a program, as food for flame.d."""

import sys
import time


def left_leaf(n):
    return sum(i * i for i in range(n))


def right_leaf(n):
    total = 0
    for i in range(n):
        total += i
    return total


def left(n):
    return left_leaf(n)


def right(n):
    return right_leaf(n)


def main(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        left(20)
        right(20)


main(float(sys.argv[1]) if len(sys.argv) > 1 else 5)
