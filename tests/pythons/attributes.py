"""Shows objects whose attributes are in all kinds of places, and writes to a file what the attributes are.

    attributes.py FILE [SECONDS]

Each object is an argument of a function, `show`, which makes a system call.
"""

import os
import sys
import time
import types


class Plain:
    kind = "class"

    def __init__(self, x):
        self.x = x


class Other(Plain):
    def __init__(self, x):
        self.before = 1
        super().__init__(x)
        self.inner = Plain(x + 1)


class Slots:
    __slots__ = ("x", "y")

    def __init__(self, x):
        self.y = 0
        self.x = x


class Both(Slots):
    def __init__(self, x):
        super().__init__(x)
        self.inner = Plain("in both")


class Unset(Slots):
    __slots__ = ("inner",)

    def __init__(self):
        pass


class Names(dict):
    """Made from a built-in class, with attributes of its own."""


class Of(type):
    """A class of classes."""


def objects():
    """Some of all kinds."""
    yield Plain(1)
    yield Other(2)
    several = [Other(number) for number in range(10)]
    yield several[5]
    asked = Other(3)
    asked.__dict__
    yield asked
    changed = Plain(4)
    changed.__dict__["x"] = "changed"
    yield changed
    replaced = Plain(5)
    replaced.__dict__ = {"x": "replaced", "inner": Plain(55)}
    yield replaced
    many = Plain(6)
    for number in range(60):
        setattr(many, "n%d" % number, number)
    many.inner = Plain("of many")
    yield many
    gone = Plain(7)
    del gone.x
    yield gone
    late = Plain(8)
    del late.x
    late.inner = Plain("late")
    late.x = "late"
    yield late
    yield Slots(9)
    yield Both(10)
    yield Unset()
    module = types.ModuleType("module")
    module.x = "of a module"
    module.inner = Both("of a module's")
    yield module
    error = ValueError("no")
    error.x = "of an error"
    yield error
    names = Names(x="a key")
    names.x = "of a dict"
    yield names
    cls = Of("Made", (Plain,), {"x": "of a class"})
    yield cls
    yield cls(11)
    hashed = Plain(12)
    hashed.__dict__[7] = 7
    hashed.inner = Plain("behind a number")
    yield hashed
    none = Plain(None)
    none.inner = None
    yield none
    for other in (1, "text", [1], {"x": 1}, object(), None):
        yield other


class Account:
    limit = 7

    def __init__(self, owner):
        self.owner = owner

    def charge(self, amount):
        os.getppid()
        return amount


def show(number, value):
    """The function that is traced."""
    os.getppid()
    return value


def text(value):
    """What rdtrace shows of an attribute."""
    return "" if value is Account else repr(value)


def main():
    """Shows all."""
    kept = list(objects())
    none = Account
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        for number, value in enumerate(kept):
            inner = getattr(value, "inner", none)
            attributes = [getattr(value, "x", none), getattr(inner, "x", none)]
            attributes.append(getattr(value, "kind", none))
            out.write("%d %s\n" % (number, "|".join(map(text, attributes))))
        out.write("'ann' 7 12\n")
    # To show is not to touch: nothing was asked for that would change where attributes are.
    for number, value in enumerate(list(objects())):
        show(number, value)
    Account("ann").charge(12)


time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 0)
main()
