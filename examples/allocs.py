"""Takes memory in two functions, one of which takes ten times as much as the other."""

KEPT = []


def large(count):
    for _ in range(count):
        KEPT.append(bytearray(1000000))


def small(count):
    for _ in range(count):
        KEPT.append(bytearray(100000))


def main():
    large(20)
    small(20)


main()
