#!/usr/bin/env python3
"""Sampling a Python program at 997 Hz: rdtrace beside py-spy and Python 3.15's own `profiling.sampling`.

    RDTRACE=target/release/rdtrace PYTHON="chroot /somewhere python3.15" benches/samplers.py [SECONDS]

A program calls two functions in turns, each of which calls one of its own. Shown for each sampler that there is and that
can sample this Python:

    by its CPU time, by the clock   how much longer the program takes for a turn than without a sampler
    sampler's CPU                   processor time of the sampler for each second, from its start to its end
    samples, impossible             how many there were, and in how many one function calls what only the other calls

Least and most are of some rounds that take turns. A sampler that stops the program for each sample shows in the clock, not
in the CPU time; on a busy machine the clock shows everything else, too.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

RATE = 997
ROUNDS = 3

PROGRAM = """
import signal, time

def called_by_one(n):
    return n + 1

def one(n):
    return called_by_one(n)

def called_by_two(n):
    return n + 2

def two(n):
    return called_by_two(n)

turns = 0
marks = []

def mark(*_):
    marks.append((turns, time.process_time(), time.perf_counter()))

signal.signal(signal.SIGUSR1, mark)
print("ready", flush=True)
while len(marks) < 2:
    one(turns)
    two(turns)
    turns += 1
(turns, cpu, clock), (more, cpu_then, clock_then) = marks
print((cpu_then - cpu) / (more - turns), (clock_then - clock) / (more - turns))
"""


def samplers(python, seconds):
    """The commands that sample a process and write its stacks, folded, to a file."""
    rdtrace = os.environ.get("RDTRACE", "target/release/rdtrace")
    clause = f"profile-{RATE} /pid == $target/ {{ @[jstack()] = count(); }} tick-{seconds}s {{ exit(0); }}"
    yield "rdtrace", lambda pid, file: [rdtrace, "-qn", clause, "--format", "folded", "-o", file, "-p", pid]
    if shutil.which("py-spy"):
        arguments = ["-r", str(RATE), "-d", str(seconds), "-f", "raw"]
        yield "py-spy", lambda pid, file: ["py-spy", "record", *arguments, "-o", file, "-p", pid]
        yield "py-spy, not stopping", lambda pid, file: [
            *("py-spy", "record", "--nonblocking", *arguments, "-o", file, "-p", pid)
        ]
    if subprocess.run([*python, "-c", "import profiling.sampling"], capture_output=True).returncode == 0:
        attach = ["-m", "profiling.sampling", "attach", "-r", str(RATE), "-d", str(seconds), "--collapsed"]
        yield "profiling.sampling", lambda pid, file: [*python, *attach, "-o", within(python, file), pid]
        yield "profiling.sampling, stopping", lambda pid, file: [
            *(*python, *attach, "--blocking", "-o", within(python, file), pid)
        ]


def root(python):
    return python[1] if python[0] == "chroot" else "/"


def within(python, file):
    """A file as the Python sees it."""
    return "/" + os.path.relpath(file, root(python))


def run(python, command, seconds, file):
    """The program's CPU time and time for a turn; the sampler's CPU time; its file."""
    program = subprocess.Popen([*python, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    assert program.stdout.readline() == "ready\n"
    sampler = None
    try:
        if command:
            with open(file + ".said", "w") as said:
                sampler = subprocess.Popen(command(str(program.pid), file), stdout=said, stderr=said)
        time.sleep(seconds / 4)
        program.send_signal(signal.SIGUSR1)
        time.sleep(seconds / 2)
        program.send_signal(signal.SIGUSR1)
        used = 0
        if sampler:
            _, status, usage = os.wait4(sampler.pid, 0)
            used = usage.ru_utime + usage.ru_stime
            if status:
                with open(file + ".said") as said:
                    return said.read()
        cpu, clock = map(float, program.stdout.read().split())
        return cpu, clock, used
    finally:
        program.kill()
        program.wait()


def pairs(file):
    """How many samples there are, and how many impossible ones among them."""
    count = impossible = 0
    with open(file) as lines:
        for line in lines:
            stack, _, number = line.rpartition(" ")
            found = set(re.findall(r"\b(?:called_by_)?(?:one|two)\b", stack))
            count += int(number)
            if {"one", "called_by_two"} <= found or {"two", "called_by_one"} <= found:
                impossible += int(number)
    return count, impossible


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    python = shlex.split(os.environ.get("PYTHON", "python3"))
    rows = {"no sampler": None, **dict(samplers(python, seconds))}
    measured = {row: [] for row in rows}
    found = dict.fromkeys(rows, (0, 0))
    with tempfile.TemporaryDirectory(dir=os.path.join(root(python), "tmp")) as directory:
        for _ in range(ROUNDS):
            for row, command in rows.items():
                file = os.path.join(directory, "stacks")
                outcome = run(python, command, seconds, file)
                if isinstance(outcome, str):
                    print(f"{row}: {outcome.strip().splitlines()[-1]}")
                    continue
                measured[row].append(outcome)
                if command:
                    found[row] = tuple(map(sum, zip(found[row], pairs(file))))
    base = [min(outcomes) for outcomes in zip(*measured["no sampler"])]
    for row, outcomes in measured.items():
        if not outcomes:
            continue
        cpu, clock, used = zip(*outcomes)
        longer = [
            f"{100 * (min(times) / least - 1):5.1f} to {100 * (max(times) / least - 1):5.1f} %"
            for times, least in zip((cpu, clock), base)
        ]
        count, impossible = found[row]
        print(
            f"{row:28} {longer[0]} by its CPU time, {longer[1]} by the clock, "
            f"sampler's CPU {100 * min(used) / seconds:5.1f} %, {count:6} samples, {impossible} impossible"
        )


if __name__ == "__main__":
    main()
