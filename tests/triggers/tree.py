"""Starts processes in the ways that Python programs do, each of which calls work() three times.

tree.py fork         two forks, the second of which forks again
tree.py pool METHOD  six tasks of two calls for a pool of two processes, started by `fork` or `spawn`
tree.py run COMMAND  a command, and waits for it
tree.py work         nothing: it calls work() itself
tree.py until FILE   nothing: it calls work() every 10 ms until there is such a file
"""

import os
import subprocess
import sys
import time


def work():
    pass


def work_thrice():
    for _ in range(3):
        work()


def task(_):
    work()
    work()


def fork(then):
    pid = os.fork()
    if pid == 0:
        then()
        os._exit(0)
    os.waitpid(pid, 0)


def fork_again():
    work_thrice()
    fork(work_thrice)


def main(what, *rest):
    if what == "fork":
        fork(work_thrice)
        fork(fork_again)
    elif what == "pool":
        import multiprocessing

        with multiprocessing.get_context(rest[0]).Pool(2) as pool:
            pool.map(task, range(6))
            pool.close()
            pool.join()
    elif what == "run":
        subprocess.run(rest)
    elif what == "work":
        work_thrice()
    elif what == "until":
        while not os.path.exists(rest[0]):
            work()
            time.sleep(0.01)


if __name__ == "__main__":
    main(*sys.argv[1:])
