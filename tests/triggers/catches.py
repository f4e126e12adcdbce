"""Catches exceptions in all ways, and writes to a file which, with what message and in which line.

    python3 catches.py FILE SECONDS        how long it waits first

What is written is said by the handlers themselves, by what they call first.
"""

import sys
import time

FILE = None


class Problem(Exception):
    pass


def tell(back=0):
    error = sys.exc_info()[1]
    message = error.args[0] if len(error.args) == 1 and isinstance(error.args[0], str) else ""
    line = sys._getframe(1).f_lineno - back
    FILE.write("%s [%s] %d\n" % (type(error).__name__, message, line))


def telling(kind):
    """For the clause of an `except`."""
    error = sys.exc_info()[1]
    message = error.args[0] if len(error.args) == 1 and isinstance(error.args[0], str) else ""
    FILE.write("%s [%s] %d\n" % (type(error).__name__, message, sys._getframe(1).f_lineno))
    return kind


class Manager:
    def __init__(self, catches):
        self.catches = catches

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is not None:
            message = error.args[0] if len(error.args) == 1 else ""
            FILE.write("%s [%s] %d\n" % (kind.__name__, message, sys._getframe(1).f_lineno))
        return self.catches


def raises(kind=Problem, *arguments):
    raise kind(*arguments)


def by_c():
    try:
        int("two")
    except telling(ValueError):
        pass


def named():
    try:
        raises(Problem, "named")
    except telling(Problem) as error:
        str(error)


def bare():
    try:
        raises(KeyError, "one", "two")
    except:
        tell(1)


def second_clause():
    try:
        raises(Problem, "second \u00fc")
    except telling(KeyError):
        pass
    except (ValueError, Problem):
        pass


def passes():
    try:
        try:
            raises(Problem, "passes")
        finally:
            tell()
    except telling(Problem):
        pass


def not_here():
    try:
        raises(Problem, "not here")
    except telling(KeyError):
        pass


def elsewhere():
    try:
        not_here()
    except telling(Problem):
        pass


def again():
    try:
        try:
            raises(Problem, "again")
        except telling(Problem):
            raise
    except telling(Problem):
        pass


def in_with():
    with Manager(True):
        raises(Problem, "suppressed")
    try:
        with Manager(False), Manager(False):
            raises(Problem, "through two")
    except telling(Problem):
        pass


def generator():
    while True:
        try:
            yield 1
        except telling(Problem):
            yield 2
            return
        finally:
            1


def in_generator():
    values = generator()
    next(values)
    values.throw(Problem("thrown"))
    try:
        next(values)
    except telling(StopIteration):
        pass


def closed():
    try:
        yield 1
    except telling(GeneratorExit):
        pass


def at_close():
    values = closed()
    next(values)
    values.close()


def deep(n):
    try:
        if n == 0:
            raises(Problem, "deep")
        deep(n - 1)
    finally:
        tell()


def from_deep():
    try:
        deep(20)
    except telling(Problem):
        pass


async def waits():
    try:
        raises(Problem, "in a coroutine")
    except telling(Problem):
        pass


def in_coroutine():
    try:
        waits().send(None)
    except telling(StopIteration):
        pass


def no_exception():
    try:
        len("abc")
    except telling(Problem):
        pass
    finally:
        with Manager(False):
            sum(x for x in (1, 2))


ALL = (by_c, named, bare, second_clause, passes, elsewhere, again, in_with, in_generator, at_close, from_deep, in_coroutine, no_exception)


def main(path, seconds):
    global FILE
    time.sleep(seconds)
    with open(path, "w", encoding="utf-8") as FILE:
        for function in ALL:
            for _ in range(30):
                function()


main(sys.argv[1], int(sys.argv[2]))
