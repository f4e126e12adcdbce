"""Sleeps five times, in a function of its own."""

import time


def nap():
    time.sleep(0)


for _ in range(5):
    nap()
