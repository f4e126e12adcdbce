#!/usr/bin/env python3
"""Counts the same firings with rdtrace and with DTrace, and shows where they differ.

    RDTRACE=target/release/rdtrace DTRACE="chroot /somewhere dtrace" benches/counts.py
    ... benches/counts.py process

One group of providers after the other (`PASSES`), both trace the same load at the same time, so that the counts of what the load does have to be equal. The load names
its threads, and what it executes has such a name, too: that is the predicate. A provider that one of the two lists
no probes of is named, and left out. Probes at functions of the kernel count nothing in DTrace where the kernel has no
kprobes: those are marked `-`. What differs for a reason that is known (`KNOWN`) is marked `~`. What a tracer says is shown, drops above all: so many are missing in its counts.
The exit status is 1 if anything differs that both have counted.

With `process`, the load is a C program that both trace by its id, `pid` and USDT, and `profile` beside. Where DTRACE is a
command in another root, COPY_TO is a directory there, as seen from here, and COPIED the same as `chroot` and a path
inside: COPIED="chroot /somewhere /tmp".
"""

import collections
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
__attribute__((noinline, noclone)) long twice(long n)
{
	__asm__ volatile("" : "+r"(n));
	return 2 * n;
}
static void step(long n)
{
	__asm__ volatile("990: nop\n"
			 ".pushsection .note.stapsdt,\"?\",\"note\"\n.balign 4\n"
			 ".4byte 992f-991f, 994f-993f, 3\n"
			 "991: .asciz \"stapsdt\"\n992: .balign 4\n"
			 "993: .8byte 990b, _.stapsdt.base, 0\n"
			 ".asciz \"countload\"\n.asciz \"step\"\n.asciz \"8@%0\"\n994: .balign 4\n.popsection\n"
			 ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"
			 ".weak _.stapsdt.base\n.hidden _.stapsdt.base\n_.stapsdt.base: .space 1\n.popsection\n"
			 :: "r"(n));
}
int main(void)
{
	long sum = 0;
	puts("waits");
	fflush(stdout);
	if (getchar() == EOF)
		return 1;
	for (long i = 0; i < 1000; i++) {
		sum += twice(i);
		step(i);
		void *volatile place = malloc(i);
		free(place);
	}
	for (clock_t end = clock() + 2 * CLOCKS_PER_SEC; clock() < end;)
		sum++;
	puts("done");
	fflush(stdout);
	return getchar() == EOF && sum == 0;
}
"""
# By so many of a hundred these may differ: two timers find a program that shares its CPUs with others a different number
# of times; who is woken up in an interrupt, in the middle of another clause, is dropped.
MAY_DIFFER = {"profile-97": 25, "wakeup": 10}
OF_PROCESS = """
BEGIN { printf("ready\\n"); }
pid$target:a.out:twice:entry, pid$target:a.out:twice:return, pid$target:libc.so.6:malloc:entry,
pid$target:libc.so.6:malloc:return, countload$target:::step { @[probeprov, probefunc, probename] = count(); }
profile-97 /pid == $target/ { @["profile", "", probename] = count(); }
END { printa("counted %s %s %s %@d\\n", @); }
"""

# What is traced at the same time: more of it would make firings come in the middle of others, which are dropped.
PASSES = [["syscall", "proc", "sched", "io", "ip", "tcp", "udp"], ["rawtp"], ["sdt"], ["cpc"], ["lockstat"]]
# Of these there are too many, or as many as there are numbers.
EVENTS = [
    "task_newtask",
    "sched_process_fork",
    "sched_process_exec",
    "sched_process_exit",
    "signal_generate",
    "signal_deliver",
    "inet_sock_set_state",
    "block_bio_queue",
]
CHOSEN = {
    "rawtp": [*EVENTS, "sys_enter", "sys_exit"],
    "sdt": EVENTS,
    "cpc": ["page_faults-all-1", "minor_faults-user-1", "context_switches-all-1"],
}
NAME = "countload"
# The part of the load that contends for locks.
LOCKS = "countlocks"
# The sockets that the load's two connections get on the server: DTrace sees none of them become `state-syn-received`.
KNOWN = {("tcp", "", "state-change"): 2}


def contend():
    """Processes that read one open file, whose text the kernel writes anew each time, and wait for its mutex."""
    shared = open("/proc/kallsyms", "rb")
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            with open("/proc/self/comm", "w") as comm:
                comm.write(LOCKS)
            for _ in range(20):
                os.pread(shared.fileno(), 1 << 20, 0)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


def load(executed):
    """What is traced: calls, files, threads, children that become another program, signals, switches, packets."""
    with open("/proc/self/comm", "w") as comm:
        comm.write(NAME)
    for _ in range(100):
        os.getppid()
    for _ in range(20):
        os.close(os.open("/dev/null", os.O_RDONLY))
    for _ in range(20):
        time.sleep(0.001)
        os.sched_yield()
    threads = [threading.Thread(target=time.sleep, args=(0.01,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    signal.signal(signal.SIGUSR1, lambda *_: None)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    for _ in range(7):
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
    for path in [executed] * 4 + ["/nonexistent"] * 2:
        child = os.fork()
        if child == 0:
            try:
                os.execv(path, [NAME])
            except OSError:
                os._exit(1)
        os.waitpid(child, 0)
    for family, host in [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]:
        with socket.socket(family) as server, socket.socket(family) as client:
            server.bind((host, 0))
            server.listen()
            client.connect(server.getsockname()[:2])
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"x" * 100)
                client.recv(100)
        with socket.socket(family, socket.SOCK_DGRAM) as receiver:
            receiver.bind((host, 0))
            receiver.sendto(b"datagram", receiver.getsockname()[:2])
            receiver.recv(100)
    with tempfile.NamedTemporaryFile(dir="/var/tmp") as file:
        file.write(b"x" * 65536)
        file.flush()
        os.fsync(file.fileno())
    with open("/proc/self/comm", "w") as comm:
        comm.write("counted")
    contend()


def listed(tracer):
    """The probes that a tracer has, by provider, without ids and modules."""
    lines = subprocess.run([*tracer, "-l"], capture_output=True, text=True).stdout.splitlines()
    found = {provider: set() for providers in PASSES for provider in providers}
    for words in map(str.split, lines[1:]):
        if len(words) > 2 and words[1] in found:
            found[words[1]].add(tuple(words[3:]) or tuple(words[2:]))
    return found


def program(probes):
    """Counts these probes, by provider, function and name."""
    names = ",\n".join(f"{provider}:::{name}" for provider, name in probes)
    execname = LOCKS if probes[0][0] == "lockstat" else NAME
    return (
        'BEGIN { printf("ready\\n"); }\n'
        f'{names} /execname == "{execname}"/ {{ @[probeprov, probefunc, probename] = count(); }}\n'
        'END { printa("counted %s %s %s %@d\\n", @); }\n'
    )


class Tracer:
    """A tracer that runs, and its output as it comes."""

    def __init__(self, command, text, *options):
        self.lines = []
        self.ready = threading.Event()
        self.process = subprocess.Popen(
            [*command, "-q", "-x", "aggsize=4m", *options, "-n", text],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("ready"):
                self.ready.set()

    def wait(self):
        """Until it traces; one that does not would count nothing, and differ in nothing."""
        if not self.ready.wait(120):
            sys.exit(f"{shlex.join(self.process.args)[:80]}: not ready in two minutes")

    def counts(self):
        """Ends it, and gives what it has counted."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.reader.join()
        found = {}
        said = collections.Counter()
        for line in self.lines:
            words = line.split(" ")
            if words[0] == "counted":
                found[tuple(words[1:-1])] = int(words[-1])
            elif line and line != "ready":
                said[line] += 1
        for line, times in said.items():
            print(f"    said {times} times: {line}")
        return found


def compare(our_counts, their_counts):
    """Shows two tracers' counts; the exit status."""
    differences = 0
    keys = sorted(our_counts.keys() | their_counts.keys())
    for key in keys:
        counts = [found.get(key, 0) for found in (our_counts, their_counts)]
        allowed = max(counts) * MAY_DIFFER.get(key[-1], 0) / 100
        is_same = abs(counts[0] - counts[1]) <= allowed
        is_known = counts[0] - counts[1] == KNOWN.get(key)
        mark = " " if is_same else "~" if is_known else "!" if counts[1] else "-"
        differences += mark == "!"
        print(f"{mark} {':'.join(key):40} rdtrace {counts[0]:6} DTrace {counts[1]:6}")
    print(f"{differences} of {len(keys)} differ")
    return 1 if differences or not our_counts else 0


def of_process(ours, theirs):
    """Compares what is counted in one process."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("COPY_TO", "/var/tmp")) as directory:
        program = os.path.join(directory, NAME)
        source = program + ".c"
        with open(source, "w") as file:
            file.write(SOURCE)
        subprocess.run([os.environ.get("CC", "cc"), "-O1", "-o", program, source], check=True)
        command = [program]
        if "COPIED" in os.environ:
            *root, inside = shlex.split(os.environ["COPIED"])
            command = [*root, os.path.join(inside, os.path.basename(directory), NAME)]
        traced = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        traced.stdout.readline()
        target = ("-p", str(traced.pid))
        tracers = [Tracer(command, OF_PROCESS, *target) for command in (theirs, ours)]
        try:
            for tracer in tracers:
                tracer.wait()
            time.sleep(1)
            traced.stdin.write("go\n")
            traced.stdin.flush()
            traced.stdout.readline()
        finally:
            counts = [tracer.counts() for tracer in tracers]
            traced.kill()
            traced.wait()
    their_counts, our_counts = counts
    return compare(our_counts, their_counts)


def main():
    ours = shlex.split(os.environ.get("RDTRACE", "target/release/rdtrace"))
    theirs = shlex.split(os.environ.get("DTRACE", "dtrace"))
    if sys.argv[1:] == ["process"]:
        return of_process(ours, theirs)
    all_lists = [listed(tracer) for tracer in (ours, theirs)]
    statuses = [one_pass(ours, theirs, probes_of(providers, all_lists)) for providers in PASSES]
    return max(statuses)


def probes_of(providers, all_lists):
    """The probes of some providers that both tracers list; what only one has is said."""
    probes = []
    for provider in providers:
        lists = [found[provider] for found in all_lists]
        if not all(lists):
            missing = [name for name, found in zip(["rdtrace", "DTrace"], lists) if not found]
            print(f"{provider}: no probes in {' and '.join(missing)}")
        elif provider in CHOSEN:
            probes += [(provider, name) for name in CHOSEN[provider]]
        else:
            both = lists[0] & lists[1]
            for name, only in [("rdtrace", lists[0] - both), ("DTrace", lists[1] - both)]:
                if only:
                    print(f"{provider}: only in {name}: {' '.join(sorted(':'.join(probe) for probe in only))}")
            probes += sorted({(provider, probe[-1]) for probe in both})
    return probes


def one_pass(ours, theirs, probes):
    """Counts some probes with both tracers at the same time."""
    if not probes:
        return 0
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        executed = os.path.join(directory, NAME)
        shutil.copy("/bin/true", executed)
        text = program(probes)
        tracers = [Tracer(command, text) for command in (theirs, ours)]
        try:
            for tracer in tracers:
                tracer.wait()
            time.sleep(1)
            subprocess.run([sys.executable, __file__, "load", executed], check=True, timeout=60)
            time.sleep(1)
        finally:
            counts = [tracer.counts() for tracer in tracers]
        their_counts, our_counts = counts
    return compare(our_counts, their_counts)


if __name__ == "__main__":
    if sys.argv[1:2] == ["load"]:
        load(sys.argv[2])
    else:
        sys.exit(main())
