"""A loop that is worth compiling. With an argument, prints whether there is a compiler."""

import sys


def leaf(n):
    return n


def loop():
    for n in range(50000):
        leaf(n)


if len(sys.argv) > 1:
    print(hasattr(sys, "_jit") and sys._jit.is_available())
else:
    loop()
