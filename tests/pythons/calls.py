"""All the ways in which a Python function starts and ends. With an argument, prints them.

Left out is what a profiler sees otherwise than it is: generators that are finalised unfinished
(not seen before 3.11) or closed with nothing to clean up (resumed only for it, from 3.13 on).
"""

import sys


def leaf(n):
    return n


def recurse(n):
    return recurse(n - 1) if n else leaf(n)


def through(n):
    if n:
        through(n - 1)
    raise KeyError(n)


def numbers():
    got = yield 1
    try:
        yield got
    except ValueError:
        yield leaf(3)
    finally:
        leaf(4)


def delegate():
    try:
        yield from numbers()
    finally:
        leaf(5)


async def awaited(n):
    return leaf(n)


async def main():
    total = 0
    for n in (1, 2):
        total += await awaited(n)
    async for n in ticks():
        total += n
    return total


async def ticks():
    yield 1
    yield 2


class Base:
    def __init__(self, n):
        self.n = n

    def __lt__(self, other):
        return self.n < other.n

    def __getattr__(self, name):
        return leaf(name)

    @property
    def double(self):
        return self.n * 2

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        return True


class Derived(Base):
    def __init__(self, n):
        super().__init__(n)


def keywords(*arguments, **more):
    return leaf(len(arguments) + len(more))


def everything():
    class Local:
        value = leaf(10)

    recurse(3)
    try:
        through(3)
    except KeyError:
        leaf(7)
    one = numbers()
    next(one)
    one.send(2)
    one.throw(ValueError)
    list(one)
    two = delegate()
    next(two)
    next(two)
    two.close()
    list(delegate())
    coroutine = main()
    try:
        while True:
            coroutine.send(None)
    except StopIteration:
        pass
    things = sorted([Derived(2), Base(1), Derived(0)])
    things[0].double
    things[0].missing
    with things[0]:
        through(0)
    sorted([3, 1, 2], key=lambda n: leaf(-n))
    [leaf(n) for n in range(2)]
    {leaf(n): n for n in range(2)}
    sum(leaf(n) for n in range(3))
    any(leaf(n) for n in range(1))
    list(map(leaf, (1, 2)))
    keywords(1, *[2], three=3, **{"four": 4})
    exec(compile("leaf(8)\nclass C:\n    leaf(9)\n", __file__, "exec"), globals())


if len(sys.argv) > 1:
    events = []

    def profile(frame, event, _argument):
        code = frame.f_code
        if code.co_filename == __file__ and event in ("call", "return"):
            sign = ">" if event == "call" else "<"
            events.append("%s %s %d" % (sign, code.co_name, frame.f_lineno))

    sys.setprofile(profile)
    everything()
    sys.setprofile(None)
    print("\n".join(event for event in events if "<module>" not in event))
else:
    everything()
