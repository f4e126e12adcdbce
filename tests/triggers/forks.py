"""Forks a child that calls in_child() three times, while the parent calls in_parent() twice."""

import os


def in_child():
    pass


def in_parent():
    pass


pid = os.fork()
if pid == 0:
    for _ in range(3):
        in_child()
    os._exit(0)
os.waitpid(pid, 0)
in_parent()
in_parent()
