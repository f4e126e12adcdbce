"""Two threads that compute, one that sleeps and wakes up: all of them want the interpreter's lock."""

import threading
import time

END = time.monotonic() + 1.0


def compute():
    total = 0
    while time.monotonic() < END:
        for n in range(10000):
            total += n
    return total


def wake():
    while time.monotonic() < END:
        time.sleep(0.01)


threads = [
    threading.Thread(target=compute, name="first"),
    threading.Thread(target=compute, name="second"),
    threading.Thread(target=wake, name="sleeper"),
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
