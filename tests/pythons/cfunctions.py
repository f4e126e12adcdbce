"""Calls functions that are written in C in all ways: each kind of arguments they take, from new code and from code that the
interpreter has specialised, functions that call back, fail, or end a thread.

`everything` is the same in each run.
"""

import collections
import functools
import itertools
import math
import operator
import re
import sys
import threading

ROUNDS = 60


class Own(dict):
    def __missing__(self, key):
        return repr(key)

    def __getitem__(self, key):
        return dict.__getitem__(self, key)


class Calls:
    __call__ = staticmethod(divmod)
    absolute = abs
    bound = [].copy


def kinds(n):
    ord("a")  # one argument
    [].copy()  # none
    globals()
    "abc".upper()
    [3].index(3, 0)  # any number, by their places
    math.hypot(3, 4)
    divmod(n, 7)
    "a b".split(None, maxsplit=1)  # by name
    sorted([2, 1], reverse=True)
    print("", end="", file=sys.stderr)
    "{}".format(n)  # a tuple of them
    "{x}".format(x=n)  # and a dict
    operator.itemgetter(0)  # a type, which is none
    int("7", 8)
    dict.fromkeys("ab")  # of a class
    str.maketrans("a", "b")  # static
    bytes.fromhex("00ff")
    dict.__new__(Own).get(1)
    Own().get(1)
    re.compile("b").search("abc").group(0)  # one that is told its class
    collections.deque([1, 2]).rotate(1)
    Calls()(7, 2)
    Calls.absolute(-1)
    Calls.bound()
    (1).bit_length()
    functools.partial(divmod, 7)(2)


def unpacked(n):
    arguments = (n, 7)
    divmod(*arguments)
    "{} {}".format(*arguments)
    sorted(*[[3, 1]], **{"reverse": True})
    max(*range(20))
    math.gcd(n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)
    math.hypot(n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)
    [].extend(*[[1]])


def back(n):
    sorted([3, 1, 2], key=lambda x: -abs(x))
    sum(map(lambda x: ord("c") + x, [1, 2]))
    list(filter(callable, [ord, 1]))
    functools.reduce(lambda a, b: max(a, b), [1, n])
    re.sub("b", lambda found: found.group(0).upper(), "abc")
    sum(value for value in numbers(3))
    next(iter([1]))
    list(numbers(2))
    Own()[n]
    getattr(Lazy(), "value", None)
    exec("ord('x'); [].copy()")
    eval("divmod(7, 2)")


class Lazy:
    @property
    def value(self):
        return sys.intern("lazy").upper()


def numbers(n):
    while n:
        yield abs(n)
        n -= 1


def failing(n):
    for call in (lambda: ord(""), lambda: [].index(n), lambda: divmod(n, 0), lambda: "".join([n]), lambda: math.sqrt(-1),
                 lambda: ord(), lambda: {}.pop(n), lambda: sorted(5), lambda: max(*()), lambda: sorted([n, ""], key=abs)):
        try:
            call()
        except (TypeError, ValueError, IndexError, KeyError, ZeroDivisionError):
            pass


def inner(n):
    return sum(sorted(map(inner, [n - 1]))) if n else abs(n)


def deep(n):
    return list(map(deep, [n - 1])) if n else [abs(n)]


def suspended():
    received = yield abs(-1)
    try:
        while received:
            received = yield divmod(received, 2)
    finally:
        hex(15)


def generators():
    generator = suspended()
    next(generator)
    generator.send(5)
    generator.send(6)
    generator.close()
    other = suspended()
    other.send(None)
    try:
        other.throw(KeyError("thrown"))
    except KeyError:
        pass


def others():
    # What one place in the code calls may be this or that.
    for call in itertools.islice(itertools.cycle([abs, float, lambda x: x, "abc".center, inner, hex]), 90):
        call(8)
    for thing in [[3], "3", (3,), b"3", {3: 3}, bytearray(b"3")] * 15:
        thing.copy() if isinstance(thing, (list, dict)) else thing.count(thing[0])


def in_thread(results):
    for n in range(20):
        results.append(divmod(n, 3))
        back(n)


def everything():
    for n in range(1, ROUNDS):
        kinds(n)
        unpacked(n)
        back(n)
        failing(n)
    generators()
    deep(40)
    others()
    results = []
    thread = threading.Thread(target=in_thread, args=(results,))
    thread.start()
    thread.join()


if __name__ == "__main__":
    everything()
