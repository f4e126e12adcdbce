"""Tasks of asyncio with names, each of which makes a system call, in several threads and loops.

    task_names.py FILE [SECONDS]
"""

import asyncio
import os
import sys
import threading
import time

said = []
counts = {}


def say():
    """Says which task is running, and how often it has said so."""
    os.getppid()
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    if task:
        counts[task] = counts.get(task, 0) + 1
    said.append((task.get_name() if task else "", counts.get(task, 0)))


async def work(turns):
    for _ in range(turns):
        say()
        await asyncio.sleep(0)
    await asyncio.sleep(0.001)
    say()


class OfPython(asyncio.Task):
    pass


async def main():
    loop = asyncio.get_running_loop()
    say()
    names = ["a name", "m\xf6glich \u03b1", "x" * 300]
    tasks = [asyncio.create_task(work(3), name=name) for name in names]
    tasks += [asyncio.create_task(work(2)) for _ in range(12)]
    tasks.append(OfPython(work(2), loop=loop, name="of a class"))
    tasks.append(asyncio.tasks._PyTask(work(2), loop=loop, name="of Python"))
    tasks.append(asyncio.tasks._PyTask(work(1), loop=loop))
    tasks[3].set_name("renamed")
    tasks[4].set_name(17)
    loop.call_soon(say)
    await asyncio.gather(*tasks)
    if hasattr(asyncio, "eager_task_factory"):
        loop.set_task_factory(asyncio.eager_task_factory)
        await asyncio.gather(*[work(1) for _ in range(3)])
    await loop.run_in_executor(None, say)
    say()


def other_loop():
    say()
    asyncio.run(work(2))
    say()


time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 0)
say()
asyncio.run(main())
say()
for _ in range(2):
    thread = threading.Thread(target=other_loop)
    thread.start()
    thread.join()


# A thread whose loop runs no task while another one's does.
ready, done = threading.Event(), threading.Event()


def in_between():
    loop = asyncio.new_event_loop()
    ready.wait()
    loop.call_soon(say)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    done.set()


async def wait():
    say()
    ready.set()
    done.wait()
    say()


thread = threading.Thread(target=in_between)
thread.start()
asyncio.run(wait())
thread.join()
with open(sys.argv[1], "w", encoding="utf-8") as out:
    out.write("".join("[%s] %d %d\n" % (name[:255], count, 2 * count) for name, count in said))
