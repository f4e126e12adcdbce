"""In the middle of functions of all kinds, makes argv[1].ready, waits for argv[1], forks, goes on."""
import os
import sys
import time


def tick():
    time.sleep(0.01)


def numbers():
    open(sys.argv[1] + ".ready", "w").close()
    while not os.path.exists(sys.argv[1]):
        tick()
    yield 1


def consume():
    return sum(numbers())


class Made:
    def __init__(self):
        consume()


async def wait():
    Made()


def drive():
    try:
        wait().send(None)
    except StopIteration:
        pass


def key(item):
    drive()
    return item


def fork():
    child = os.fork()
    if child:
        os.waitpid(child, 0)


def main():
    sorted([1], key=key)
    fork()


main()
