"""Does a few things that Python audits, for audit.d."""

import sys

with open("/dev/null") as file:
    file.read()

compile("1 + 1", "<example>", "eval")
sys.audit("example.event", 42)
