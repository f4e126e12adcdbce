"""Calls an empty function many times and writes how long a call took.

usage: calls.py RESULT CALLS ROUNDS
Writes the fewest nanoseconds per call of all rounds to RESULT.
"""

import sys
import time


def callee():
    pass


def round_of(calls):
    start = time.perf_counter_ns()
    for _ in range(calls):
        callee()
    return (time.perf_counter_ns() - start) / calls


def main():
    result, calls, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    best = min(round_of(calls) for _ in range(rounds))
    with open(result, "w") as file:
        file.write(f"{best}\n")


main()
