"""Calls outer() N times, which calls inner() twice."""

import sys


def inner(x):
    return x


def outer(x):
    inner(x)
    return inner(x)


for i in range(int(sys.argv[1])):
    outer(i)
