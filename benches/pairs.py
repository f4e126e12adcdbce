#!/usr/bin/env python3
"""Whether samples of a Python program are stacks that there can be, for as many samples as one wants.

    RDTRACE=target/release/rdtrace PYTHON=python3.11 benches/pairs.py [SAMPLES [ACTION]]

The program of samplers.py calls two functions in turns, each of which calls one of its own, so there are five stacks. As
many of it run as there are CPUs, and all are sampled by ACTION, `jstack` or `ustack`, by many timers at once: some ten
thousand samples a second on each CPU. It goes on until there are SAMPLES (a million). Shown are

    samples      how many there were
    impossible   whose Python functions are not one of the five stacks
    cut          that say themselves that functions are missing (`...`)
    in C         in which there are none, where rdtrace does not know yet what the program has mapped
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time

from samplers import PROGRAM

RATE = 4999
TIMERS = 16
SECONDS = 20

POSSIBLE = {
    ("<module>",),
    ("<module>", "one"),
    ("<module>", "one", "called_by_one"),
    ("<module>", "two"),
    ("<module>", "two", "called_by_two"),
}


def kind(stack):
    """What a stack is, the outermost function first."""
    frames = stack.split(";")
    if "..." in frames:
        return "cut"
    names = [re.fullmatch(r".+:-?\d+ (\S+)", frame) for frame in frames if "`" not in frame]
    functions = tuple(name[1] for name in names if name)
    if not functions:
        return "in C"
    return "possible" if functions in POSSIBLE else "impossible"


def sample(rdtrace, action, programs, file):
    """Samples programs for some seconds; counts by kind, and stacks that are impossible."""
    timers = ", ".join(f"profile-{RATE - n}" for n in range(TIMERS))
    pids = [str(program.pid) for program in programs]
    those = " || ".join(f"pid == {pid}" for pid in pids)
    clause = f"{timers} /{those}/ {{ @[{action}(40)] = count(); }} tick-{SECONDS}s {{ exit(0); }}"
    # As targets, they are known from the start.
    targets = [word for pid in pids for word in ("-p", pid)]
    if os.path.exists(file):
        os.remove(file)  # which would be appended to
    subprocess.run([rdtrace, "-qn", clause, "--format", "folded", "-o", file, *targets], check=True)
    counts, wrong = {}, {}
    with open(file) as lines:
        for line in lines:
            stack, _, number = line.rstrip("\n").rpartition(" ")
            counts[kind(stack)] = counts.get(kind(stack), 0) + int(number)
            if kind(stack) == "impossible":
                wrong[stack] = wrong.get(stack, 0) + int(number)
    return counts, wrong


def main():
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    action = sys.argv[2] if len(sys.argv) > 2 else "jstack"
    rdtrace = os.environ.get("RDTRACE", "target/release/rdtrace")
    python = shlex.split(os.environ.get("PYTHON", "python3"))
    programs = [
        subprocess.Popen([*python, "-c", PROGRAM], stdout=subprocess.PIPE) for _ in range(os.cpu_count())
    ]
    all_counts = {}
    began = time.monotonic()
    try:
        for program in programs:
            program.stdout.readline()
        with tempfile.TemporaryDirectory() as directory:
            while sum(all_counts.values()) < wanted:
                counts, wrong = sample(rdtrace, action, programs, os.path.join(directory, "stacks"))
                assert counts, "nothing was sampled"
                for what, count in counts.items():
                    all_counts[what] = all_counts.get(what, 0) + count
                for stack, count in wrong.items():
                    print(f"impossible, {count} times: {stack}")
    finally:
        for program in programs:
            program.kill()
            program.wait()
    told = ", ".join(f"{all_counts.get(what, 0)} {what}" for what in ("impossible", "cut", "in C"))
    print(f"{action}: {sum(all_counts.values())} samples, {told}; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
