"""Tasks of asyncio that wait for each other in many ways, and who waits for the one that runs, as Python itself has it.

    awaiting.py FILE [SECONDS]
"""

import asyncio
import os
import sys
import time
import types

# How many frames of those that wait are shown.
MOST = 127

said = []


def place(frame):
    return f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"


def waiting(task):
    """The frames of the coroutines that wait for a task, the innermost first."""
    frames = []
    awaiting = task._asyncio_awaited_by
    while awaiting:
        if len(awaiting) > 1:
            return [*frames, "..."]
        (future,) = awaiting
        if isinstance(future, asyncio.Task):
            chain, part = future.get_coro(), []
            while chain is not None and type(chain).__name__ != "FutureIter":
                is_coroutine = isinstance(chain, types.CoroutineType)
                frame = chain.cr_frame if is_coroutine else getattr(chain, "gi_frame", None)
                if frame is None:
                    part.append("...")
                    break
                part.append(place(frame))
                chain = chain.cr_await if is_coroutine else chain.gi_yieldfrom
            if len(frames) + len(part) > MOST:
                return [*frames, "..."]
            frames += reversed(part)
        awaiting = future._asyncio_awaited_by
    return frames


def say(frame):
    """Says what is between this function and the first one."""
    task, lines = None, []
    try:
        task = asyncio.current_task()
    except RuntimeError:
        pass
    own = task.get_coro().cr_frame if task else None
    while frame:
        lines.append(place(frame))
        if frame is own:
            lines += waiting(task)
        frame = frame.f_back
    said.append("\n".join(lines))


def ask():
    os.getppid(), say(sys._getframe())


async def ask_twice():
    ask()
    await asyncio.sleep(0)
    ask()


class OfPython(asyncio.Task):
    pass


@types.coroutine
def by_generator(task):
    return (yield from task)


class Awaitable:
    def __await__(self):
        return ask_twice().__await__()


class Wrapped:
    def __init__(self, task):
        self.task = task

    def __await__(self):
        return self.wait().__await__()

    async def wait(self):
        await self.task


def task(coroutine):
    return asyncio.get_running_loop().create_task(coroutine)


async def in_group():
    async with asyncio.TaskGroup() as group:
        group.create_task(ask_twice())
        group.create_task(asyncio.sleep(0))


async def values():
    yield await task(ask_twice())


async def by_values():
    async for _ in values():
        pass


async def nested(depth):
    if depth:
        return await nested(depth - 1)
    await task(ask_twice())


async def tasks_in_tasks(depth):
    await (task(tasks_in_tasks(depth - 1)) if depth else ask_twice())


async def wait_for(other):
    await other


async def main():
    ask()
    await ask_twice()
    await Awaitable()
    await task(ask_twice())
    await OfPython(ask_twice(), loop=asyncio.get_running_loop())
    await task(in_group())
    await task(wait_for(asyncio.gather(ask_twice(), asyncio.sleep(0))))
    await asyncio.wait_for(task(ask_twice()), 10)
    await asyncio.shield(ask_twice())
    await asyncio.wait([task(ask_twice()), task(asyncio.sleep(0))])
    await by_generator(task(ask_twice()))
    await Wrapped(task(ask_twice()))
    await by_values()
    await nested(5)
    await nested(150)
    await tasks_in_tasks(20)
    several = task(ask_twice())
    await asyncio.gather(wait_for(several), wait_for(several))
    nobody = task(ask_twice())
    while not nobody.done():
        await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(ask)
    await asyncio.sleep(0.001)


if len(sys.argv) > 2:
    time.sleep(float(sys.argv[2]))
ask()
asyncio.run(main())
with open(sys.argv[1], "w", encoding="utf-8") as out:
    out.write("\n\n".join(said) + "\n")
