"""Leaves most of its work to functions that are written in C."""

import time


def slowly(n):
    time.sleep(0.001)
    return -n


def work():
    numbers = sorted(range(20), key=slowly)
    total = sum(range(1000000))
    time.sleep(0.05)
    return ",".join(map(str, numbers)).split(","), total


for _ in range(3):
    work()
