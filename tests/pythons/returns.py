"""Functions that return all kinds of things in all kinds of ways, and what they return, written to a file."""

import sys

kept = []


def value(x):
    return x


def constant():
    return "constant"


def nothing():
    pass


def in_loop(values):
    for each in values:
        for other in values:
            if other:
                return [each, other]
    return None


def in_try(x):
    try:
        with open("/dev/null"):
            return x * 2
    finally:
        x = 3


def kept_by_others(x):
    def inner():
        return x + 1

    return inner()


def fails():
    raise KeyError("no")


def last_of(values):
    last = None
    for last in values:
        pass
    return last


async def coroutine():
    return "awaited"


class Made:
    def method(self):
        return self.__class__.__name__


many = {}
exec("def many_constants():\n    x = 0\n" + "".join(map("    x = {}.5\n".format, range(300))) + "    return x\n", many)


def main():
    """Calls them: the list is what each of their ends returns."""
    said = []

    def tell(function, *arguments):
        result = "" if function is fails else None
        try:
            result = repr(function(*arguments))
        except KeyError:
            pass
        said.append("%s %s" % (function.__name__, result))

    tell(value, 7)
    tell(value, [1, {"a": 2}])
    tell(value, None)
    tell(constant)
    tell(nothing)
    tell(in_loop, [0, 5])
    tell(in_loop, [])
    tell(in_try, 21)
    tell(kept_by_others, 8)
    tell(fails)
    tell(last_of, "abc")
    tell(Made().method)
    try:
        coroutine().send(None)
    except StopIteration as stop:
        said.append("coroutine %r" % stop.value)
    tell(many["many_constants"])
    sorted([3, 1], key=value)
    said.extend(["value 3", "value 1"])
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.write("\n".join(said) + "\n")


main()
