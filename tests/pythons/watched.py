"""Functions that run while tools come and go that watch them; prints how often each was entered.

A profiler, a tracer, and from 3.12 on tools of `sys.monitoring` make the interpreter change its byte code and
execute the first instruction of a function again, in one thread while another is in the middle of it.
Signals do so too, without a change.
"""

import signal
import sys
import threading

entered = {}


def leaf(n):
    entered["leaf"] = entered.get("leaf", 0) + 1
    return n


def numbers():
    entered["numbers"] = entered.get("numbers", 0) + 1
    try:
        for n in range(3):
            got = yield leaf(n)
            entered["numbers"] += 1
            assert got is None
    except KeyError:
        entered["numbers"] += 1
        yield 3
        entered["numbers"] += 1


def recurse(n):
    entered["recurse"] = entered.get("recurse", 0) + 1
    return recurse(n - 1) if n else leaf(n)


def work():
    for n in range(20):
        leaf(n)
    list(numbers())
    thrown = numbers()
    next(thrown)
    thrown.throw(KeyError)
    list(thrown)
    recurse(5)
    list(map(leaf, range(3)))


def in_thread(n):
    entered["in_thread"] = entered.get("in_thread", 0) + 1
    return n


def in_other_thread():
    while not done:
        in_thread(1)


signals = []


def on_signal(number, _frame):
    signals.append(number)  # at once: another signal may come in the middle of this one


def watch(frame, _event, _argument):
    entered["watch"] = entered.get("watch", 0) + 1
    if sys.version_info >= (3, 7):
        frame.f_trace_opcodes = True
    return watch


def tool(*_arguments):
    pass  # not counted: both threads call it


def monitor(events):
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is None:
        return
    if events:
        monitoring.use_tool_id(4, "watched")
        for name in events:
            monitoring.register_callback(4, getattr(monitoring.events, name), tool)
        monitoring.set_events(4, sum(getattr(monitoring.events, name) for name in events))
    else:
        monitoring.set_events(4, 0)
        monitoring.free_tool_id(4)


def tools():
    yield sys.setprofile, (getattr, None)
    yield sys.settrace, (watch, None)
    yield monitor, (["PY_START"], None)
    yield monitor, (["PY_START", "PY_RESUME", "PY_THROW", "LINE"], None)
    yield monitor, (["INSTRUCTION"], None)


done = False
thread = threading.Thread(target=in_other_thread)
thread.start()
signal.signal(signal.SIGALRM, on_signal)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
work()
for turn in range(4):
    for switch, (on, off) in tools():
        switch(on)
        work()
        switch(off)
        work()
signal.setitimer(signal.ITIMER_REAL, 0)
done = True
thread.join()
entered["on_signal"] = len(signals)
for name in sorted(entered):
    print(name, entered[name])
