"""Makes objects that are none: sizes, types and addresses that nobody should believe. Never uses them."""

import ctypes
import os
import sys

KERNEL = 0xFFFF888000000000
NOWHERE = 0x10


def show(address, number):
    """The function that is traced."""


def word(address, offset, value):
    ctypes.c_uint64.from_address(address + offset).value = value & (2**64 - 1)


def main():
    """Each object is shown whole first, then with one of its words replaced."""
    # One word behind what every object starts with is the size, then the first item, or its address.
    header = object.__basicsize__
    makers = [
        lambda: [1, number],
        lambda: (1, number),
        lambda: {"k": 1},
        lambda: {1, 2},
        lambda: 10**40 + number,
        lambda: b"ab%d" % number,
        lambda: "ab%d" % number,
    ]
    number = 0
    for make in makers:
        for offset in (header - 8, header, header + 8, header + 16, header + 24):
            for value in (KERNEL, NOWHERE, 2**62 + 1, -1):
                victim = make()
                address = id(victim)
                kept = ctypes.c_uint64.from_address(address + offset).value
                word(address, offset, value)
                show(address, number)
                word(address, offset, kept)
                number += 1
    sys.stdout.flush()
    os._exit(0)


main()
