"""Threads with names, each of which makes a system call.

    named_threads.py FILE [SECONDS]
"""

import concurrent.futures
import os
import sys
import threading
import time


def work(n=0):
    if n:
        return work(n - 1)
    return os.getppid()


time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 0)
names = ["worker", "a name that is longer than the kernel's", "m\xf6glich"]
for name in names:
    thread = threading.Thread(target=work, args=(3,), name=name)
    thread.start()
    thread.join()
with concurrent.futures.ThreadPoolExecutor(1, "pool") as pool:
    pool.submit(work).result()
work()
with open(sys.argv[1], "w", encoding="utf-8") as out:
    out.write("".join("%s\n" % name for name in names + ["pool_0", "the kernel's"]))
