"""Several threads at once, some started by others, each with a sequence of its own."""

import threading


def leaf(n):
    return n


def recurse(n):
    return recurse(n - 1) if n else leaf(n)


def through(n):
    if n:
        through(n - 1)
    raise KeyError(n)


def numbers(n):
    try:
        while n:
            got = yield leaf(n)
            n -= got or 1
    finally:
        leaf(0)


def delegate(n):
    return (yield from numbers(n))


class Thing:
    def __init__(self, n):
        self.n = n

    def __lt__(self, other):
        return self.n < other.n


def worker(number, rounds):
    for n in range(rounds):
        recurse(number)
        try:
            through(number)
        except KeyError:
            leaf(n)
        sum(numbers(number))
        generator = delegate(number + 2)
        next(generator)
        try:
            generator.throw(KeyError)
        except KeyError:
            leaf(n)
        sorted([Thing(2), Thing(0), Thing(1)], key=None)
        sorted(range(number), key=lambda n: leaf(-n))


def starter(number):
    thread = threading.Thread(target=worker, args=(number, 20))
    thread.start()
    worker(number, 20)
    thread.join()


shared = None


def share_generator():
    """One thread starts a generator, another one goes on with it."""
    global shared
    shared = numbers(5)
    next(shared)


def worker_on_shared():
    for n in shared:
        leaf(n)


def everything():
    first = threading.Thread(target=share_generator)
    first.start()
    first.join()
    threads = [threading.Thread(target=starter, args=(n,)) for n in range(1, 5)]
    threads.append(threading.Thread(target=worker_on_shared))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    everything()
