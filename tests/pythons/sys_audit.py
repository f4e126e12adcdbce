"""Raises audit events without a hook and with one, and prints how often each."""

import sys

NAMES = ["my.event", "my.\u00e9", "my.\u0105", "my.\U0001d525"]


class Name(str):
    """No `str` itself, but one of a class made from it."""


def raise_all(times):
    for _ in range(times):
        for name in NAMES:
            sys.audit(name)
            sys.audit(Name(name), 1, [])


raise_all(100)
try:
    sys.audit(5)  # only a hook would find that this is no name
except TypeError:
    pass
sys.addaudithook(lambda event, arguments: None)
raise_all(10)
for name in NAMES:
    sys.stdout.buffer.write(f"{name} {2 * 110}\n".encode())
