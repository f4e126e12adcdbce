"""Fires each of CPython's eight markers a known number of times, between begin() and end()."""

import gc
import sys


def begin():
    pass


def end():
    pass


def work():
    x = 1
    y = 2
    return x + y


gc.disable()
begin()
work()
gc.collect(1)
gc.collect(2)
import colorsys
sys.audit("rdtrace.test", 1)
sys.audit("rdtrace.test", 2)
end()
