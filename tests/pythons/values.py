"""Shows objects of all kinds, and writes to a file how `repr` does, as far as rdtrace reads them.

    values.py FILE [SECONDS]

Each object is the argument of a function, `show`, which makes a system call, and of an audit event, `value`. Before, it
waits so many seconds.
"""

import collections
import os
import sys
import time

PARTS, DEEPEST, TEXT, BITS = 8, 2, 256, 128


class Plain:
    """No class that rdtrace knows."""


class Attributes:
    """Its attributes are in a dict that shares its keys, or in none before one is asked for."""

    def __init__(self, number):
        self.number = number
        self.text = "of %d" % number


class Text(str):
    """Made from a built-in class."""


class Number(int):
    """The same."""


def cut(value, width):
    """A text's or bytes' repr, as much as is read of it."""
    most = TEXT // width
    return repr(value[:most]) + ("..." if len(value) > most else "")


def items(values, level):
    """The items of a container."""
    most = PARTS if level < DEEPEST else 0
    read = [expected(value, level + 1) for value in list(values)[:most]]
    return ", ".join(read + ["..."] * (len(values) > len(read)))


def expected(value, level=0):
    """What rdtrace shows."""
    kind = type(value)
    if kind in (Text, Number, collections.OrderedDict):
        base = kind.__mro__[1](value)
        return "%s(%s)" % (kind.__name__, expected(base, level))
    if isinstance(value, bool):
        return repr(value)
    if isinstance(value, int):
        sign = "-" if value < 0 else ""
        large = abs(value) >> BITS
        return sign + ("<int of more than 128 bits>" if large else str(abs(value)))
    if isinstance(value, str):
        widest = max(map(ord, value), default=0)
        return cut(value, 1 if widest < 256 else 2 if widest < 65536 else 4)
    if isinstance(value, bytes):
        return cut(value, 1)
    if isinstance(value, tuple):
        return "(%s%s)" % (items(value, level), "," * (len(value) == 1))
    if isinstance(value, list):
        return "[%s]" % items(value, level)
    if isinstance(value, (set, frozenset)) and not value:
        return repr(value)
    if isinstance(value, set):
        return "{%s}" % items(value, level)
    if isinstance(value, frozenset):
        return "frozenset({%s})" % items(value, level)
    if isinstance(value, dict):
        pairs = list(value.items())[:PARTS] if level < DEEPEST else []
        read = ["%s: %s" % (expected(k, level + 1), expected(v, level + 1)) for k, v in pairs]
        return "{%s}" % ", ".join(read + ["..."] * (len(value) > len(read)))
    if isinstance(value, BaseException):
        if level >= DEEPEST:
            return "%s(...)" % kind.__name__
        return "%s(%s)" % (kind.__name__, items(value.args, level + 1))
    if isinstance(value, type):
        return "<class '%s'>" % value.__name__
    if isinstance(value, Plain):
        return "<Plain at %#x>" % id(value)
    return repr(value)


def objects():
    """Some of all kinds."""
    yield from (0, 1, -1, 255, 2**30 - 1, 2**30, -(2**30), 2**60, 2**63 - 1, 2**63, -(2**63))
    yield from (10**30, -(10**38), 2**128 - 1, 2**128, -(2**149), 10**100, True, False, None)
    yield from (..., NotImplemented, 1.5, -0.0, 0.1, 1e16, 123456789012345.0, 1e-4, 1e-5, 1e300)
    yield from (float("inf"), float("-inf"), float("nan"), 2.0**70, 5e-324)
    yield from ("", "abc", "it's", 'say "it\'s"', "a\\b\n\t\r\x00\x7f", "h\xe9llo", "\u20acuro")
    yield from ("\U0001f600!", "\udc80", "x" * 300, "\xe9" * 300, "\u20ac" * 300, "\u2028")
    yield from (b"", b"abc", b"it's\x00\xff", b"y" * 300)
    yield from ((), (1,), (1, "two", 3.0), tuple(range(20)), [], [1], list(range(8)), list(range(9)))
    yield from ([1, [2, [3, [4]]]], [[], (), {}, set(), [()], [{}]], [[1] * 9] * 9)
    yield from ({}, {"a": 1}, {1: "one", (1, 2): [3]}, {i: i for i in range(20)}, {"a": {"b": {}}})
    yield from (set(), {1}, frozenset(), frozenset([2]), {"one"}, [{1}, [{1}]])
    yield from (ValueError("bad", 3), KeyError(), [OSError(2, "none")], int, Plain, [Plain()])
    yield from (Plain(), Text("text"), Number(7), Text("\u20ac"), collections.OrderedDict(a=1))
    yield Attributes(1).__dict__
    several = [Attributes(number) for number in range(5)]
    yield several[3].__dict__
    late = Attributes(6)
    del late.number
    late.more = [1]
    late.number = 2
    yield late.__dict__
    large = {"key%d" % number: number for number in range(300)}
    yield large
    for number in range(295):
        del large["key%d" % number]
    yield large
    some = set(range(1000))
    yield {number for number in some if number > 998}
    cycle = [1]
    cycle.append(cycle)
    yield cycle


def show(value, number):
    """The function that is traced."""
    os.getppid()
    return value


def main():
    """Shows all, the same objects as those whose text is written."""
    audit = getattr(sys, "audit", lambda *arguments: None)
    kept = list(objects())
    with open(sys.argv[1], "w", encoding="utf-8", errors="surrogateescape") as out:
        for number, value in enumerate(kept):
            out.write("%d %s\n" % (number, expected(value)))
    for number, value in enumerate(kept):
        show(value, number)
        audit("value", value, number, "of values.py")


time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 0)
main()
