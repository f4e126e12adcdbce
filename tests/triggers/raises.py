"""Raises exceptions in all ways, and writes to a file which, with what message and in which line.

    python3 raises.py FILE SECONDS        how long it waits first
"""

import sys
import time


class Problem(Exception):
    pass


def by_c():
    return int("two")


def by_python():
    raise Problem("own")


def without_message():
    raise KeyError


def with_two():
    raise Problem("one", "two")


def passes(function):
    try:
        function()
    finally:
        pass  # and it goes on


def again():
    try:
        by_python()
    except Problem:
        raise


def chained():
    try:
        by_c()
    except ValueError as error:
        raise Problem("new \u00fc") from error


def generator():
    yield 1
    raise Problem("in a generator")


def in_generator():
    return list(generator())


def tell(file, error):
    if error.__cause__ is not None:
        tell(file, error.__cause__)
    place = error.__traceback__
    while place.tb_next is not None:
        place = place.tb_next
    message = error.args[0] if len(error.args) == 1 else ""
    file.write("%s [%s] %d\n" % (type(error).__name__, message, place.tb_lineno))


def main(path, seconds):
    time.sleep(seconds)
    with open(path, "w", encoding="utf-8") as file:
        for function in (by_c, by_python, without_message, with_two, again, chained, in_generator):
            for _ in range(3):
                try:
                    passes(function)
                except Exception as error:
                    tell(file, error)


main(sys.argv[1], int(sys.argv[2]))
