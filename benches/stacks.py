#!/usr/bin/env python3
"""What a stack of 30 frames costs, and a probe at the entry of a function, beside bpftrace.

    RDTRACE=target/release/rdtrace BPFTRACE="chroot /somewhere bpftrace" benches/stacks.py [CALLS]

A C program calls a function at the end of 30 others. It is traced by `pid$target:a.out:probed:entry`: with a predicate
that is false, counting, and counting by `ustack(30)`; with frame pointers and without. bpftrace's `ustack(30)` is the
kernel's `bpf_get_stack`, which follows frame pointers. Shown are nanoseconds of processor time for each call, the least
of some rounds that take turns: what else the machine does counts as little as can be.
BPFTRACE may be a command in another root; COPY_TO is then a directory there, as seen from here, and COPIED what it is
called inside.

    RDTRACE=target/release/rdtrace benches/stacks.py profile

measures what sampling the stacks of a busy machine takes of its time: `profile-997 { @[stack(), ustack()] = count(); }`
while each CPU runs a C program, then a Python. The kernel says how long the samples took (kernel.bpf_stats_enabled), and
/proc what rdtrace itself did meanwhile.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
static long calls;
__attribute__((noinline, noclone)) void probed(long n) { __asm__ volatile("" : : "r"(n) : "memory"); }
__attribute__((noinline, noclone)) static int deep(int n)
{
	volatile char room[24];
	room[0] = n;
	if (n > 0) {
		room[1] = deep(n - 1);
		return room[0] + room[1];
	}
	for (long i = 0; i < calls; i++)
		probed(i);
	return room[0];
}
static double now(void)
{
	struct timespec at;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
	return at.tv_sec * 1e9 + at.tv_nsec;
}
int main(int argc, char **argv)
{
	calls = argc > 1 ? atol(argv[1]) : 1;
	double before = now();
	int sum = deep(27);
	fprintf(stderr, "cost %.0f\n", (now() - before) / calls);
	return sum == -1;
}
"""
ROUNDS = 5
PROGRAMS = {"with frame pointers": "-fno-omit-frame-pointer", "without": "-fomit-frame-pointer"}
D = "pid$target:a.out:probed:entry"
SAMPLES = "profile-997 { @[stack(), ustack()] = count(); } END { trunc(@); }"
SAMPLED_SECONDS = 5
BPF_STATISTICS = "/proc/sys/kernel/bpf_stats_enabled"
PYTHON = """
def deep(n):
    if n:
        return deep(n - 1) + 1
    while True:
        sum(map(abs, range(10000)))
deep(20)
"""


def compiled(directory, title):
    source = os.path.join(directory, "deep.c")
    with open(source, "w") as file:
        file.write(SOURCE)
    program = os.path.join(directory, "deep" + str(list(PROGRAMS).index(title)))
    options = ["-O1", "-fno-optimize-sibling-calls", PROGRAMS[title]]
    subprocess.run([os.environ.get("CC", "cc"), *options, "-o", program, source], check=True)
    return program


def cost(command):
    """What the program says of itself in a run of this command."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    for line in (done.stderr + "\n" + done.stdout).splitlines():
        if line.startswith("cost "):
            return int(line.split()[1])
    sys.exit(f"{shlex.join(command)}: {done.stderr}{done.stdout}")


def sampled(pid):
    """How often the process's program ran that ran most, for how many nanoseconds; and the process itself."""
    runs = [(0, 0)]
    for number in os.listdir(f"/proc/{pid}/fdinfo"):
        with open(f"/proc/{pid}/fdinfo/{number}") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
        if "run_cnt" in fields:
            runs.append((int(fields["run_cnt"]), int(fields["run_time_ns"])))
    with open(f"/proc/{pid}/stat") as file:
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return *max(runs), (int(user) + int(system)) * 1e9 / os.sysconf("SC_CLK_TCK")


def profile(rdtrace):
    """What samples cost while all CPUs are busy."""
    with open(BPF_STATISTICS) as file:
        before = file.read()
    with tempfile.TemporaryDirectory() as directory:
        program = compiled(directory, "without")
        for title, load in {"C": [program, str(1 << 40)], "Python": ["python3", "-c", PYTHON]}.items():
            processes = [subprocess.Popen(load) for _ in range(os.cpu_count())]
            processes.append(subprocess.Popen([rdtrace, "-qn", SAMPLES]))
            try:
                with open(BPF_STATISTICS, "w") as file:
                    file.write("1")
                # Until the tables of all that runs are there.
                time.sleep(3)
                first, start = sampled(processes[-1].pid), time.monotonic()
                time.sleep(SAMPLED_SECONDS)
                last, seconds = sampled(processes[-1].pid), time.monotonic() - start
            finally:
                with open(BPF_STATISTICS, "w") as file:
                    file.write(before)
                for process in processes:
                    process.kill()
                    process.wait()
            runs, samples, own = (after - before for after, before in zip(last, first))
            print(
                f"{samples / max(runs, 1):8.0f} ns   a sample of {title}: {samples / seconds / 1e7:.2f} % of a CPU, "
                f"and {own / seconds / 1e7:.2f} % rdtrace itself"
            )


def main():
    if sys.argv[1:] == ["profile"]:
        return profile(os.environ.get("RDTRACE", "target/release/rdtrace"))
    calls = sys.argv[1] if len(sys.argv) > 1 else "50000"
    rdtrace = os.environ.get("RDTRACE", "target/release/rdtrace")
    bpftrace = shlex.split(os.environ.get("BPFTRACE", "bpftrace"))
    rows = {}
    with tempfile.TemporaryDirectory() as directory:
        for title in PROGRAMS:
            program = compiled(directory, title)
            rows[f"untraced, {title}"] = [program, calls]
            target = ["-c", f"{program} {calls}"]
            for name, clause in [
                ("predicate", "/arg0 < 0/ { n = 1; }"),
                ("count", "{ @ = count(); }"),
                ("ustack(30)", "{ @[ustack(30)] = count(); } END { trunc(@); }"),
            ]:
                rows[f"rdtrace {name}, {title}"] = [rdtrace, "-qn", D + clause, *target]
            if not shutil.which(bpftrace[0]):
                continue
            inside = program
            if "COPY_TO" in os.environ:
                shutil.copy(program, os.environ["COPY_TO"])
                inside = os.path.join(os.environ["COPIED"], os.path.basename(program))
            for name, clause in [
                ("predicate", "/arg0 > 1000000000/ { @ = 1; }"),
                ("count", "{ @ = count(); }"),
                ("ustack(30)", "{ @[ustack(30)] = count(); } END { clear(@); }"),
            ]:
                text = f"uprobe:{inside}:probed {clause}"
                rows[f"bpftrace {name}, {title}"] = [*bpftrace, "-e", text, "-c", f"{inside} {calls}"]
        least = {}
        for _ in range(ROUNDS):
            for row, command in rows.items():
                least[row] = min(cost(command), least.get(row, sys.maxsize))
    for row, nanoseconds in least.items():
        print(f"{nanoseconds:8} ns   {row}")


if __name__ == "__main__":
    main()
