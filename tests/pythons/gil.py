"""Threads that compute, sleep, and start others: the interpreter's lock goes from one to another."""

import sys
import threading
import time

sys.setswitchinterval(0.001)


def compute():
    total = 0
    for n in range(400_000):
        total += n
    return total


def nap():
    for _ in range(200):
        time.sleep(0)


def start():
    threads = [threading.Thread(target=nap) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


threads = [threading.Thread(target=target) for target in (compute, compute, nap, start)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
