"""Raises audit events whose arguments are of several kinds."""

import sys


class Point:
    def __init__(self):
        self.x, self.y = 1, -2


for value in [
    42, -(2**70), True, None, 2.5, "it's", b"a\x00", (1,), [1, [2, [3]]], {"k": {1}}, ValueError("no"), int,
    Point().__dict__,
]:
    sys.audit("golden.value", value, 7)
