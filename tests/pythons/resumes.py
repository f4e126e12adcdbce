"""Generators and coroutines that start and go on in all kinds of ways, and how often each did, written to a file:
of each function its name, how often it started and how often it went on."""

import sys
import types

said = []


def plain(x):
    return x


def numbers(n):
    for each in range(n):
        yield each


def closed_in_try():
    try:
        yield 1
        yield 2
    finally:
        plain(0)


def catches():
    while True:
        try:
            yield
        except KeyError:
            pass


def with_cells(n):
    return [x for x in (n + each for each in [1, 2]) if x > 0] and n


def delegates(n):
    kept = n
    yield from counted(n)
    yield (lambda: kept)()


def counted(n):
    for each in range(n):
        yield each


@types.coroutine
def suspends():
    yield "suspended"


async def awaits(n):
    for each in range(n):
        await suspends()
    return n


async def awaits_at_once(n):
    return await returns_at_once(n)


async def returns_at_once(n):
    return n


async def hands_out(n):
    for each in range(n):
        yield each


async def takes(n):
    async for each in hands_out(n):
        await suspends()


def run(coroutine):
    try:
        while True:
            coroutine.send(None)
    except StopIteration:
        pass


def expect(name, starts, resumes):
    said.append("%s %d %d" % (name, starts, resumes))


def main():
    """The last two numbers of each line: the entries that start, and those that go on."""
    for x in range(50):
        plain(x)
    expect("plain", 51, 0)

    # Long enough for opcodes to be specialised.
    for count in (0, 1, 100, 400):
        list(numbers(count))
    thrown = numbers(3)
    try:
        thrown.throw(KeyError)
    except KeyError:
        pass
    expect("numbers", 5, 501)

    generator = closed_in_try()
    next(generator)
    generator.close()
    expect("closed_in_try", 1, 1)

    generator = catches()
    next(generator)
    for x in range(3):
        generator.throw(KeyError)
        next(generator)
    try:
        generator.throw(ValueError)
    except ValueError:
        pass
    expect("catches", 1, 7)

    with_cells(3)
    expect("<genexpr>", 1, 2)
    expect("with_cells", 1, 0)

    list(delegates(4))
    expect("delegates", 1, 5)
    expect("counted", 1, 4)

    run(awaits(3))
    run(awaits_at_once(1))
    run(takes(5))
    # Each `await` that waits starts `suspends` and lets it go on once.
    expect("awaits", 1, 3)
    expect("awaits_at_once", 1, 0)
    expect("returns_at_once", 1, 0)
    expect("suspends", 8, 8)
    expect("hands_out", 1, 5)
    expect("takes", 1, 5)
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.write("\n".join(sorted(said)) + "\n")


main()
