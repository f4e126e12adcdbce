"""Tasks that wait for each other, with all that asyncio does for them.

Without timers, threads and collections, so that each run is the same.
"""

import asyncio
import contextlib
import gc


# What a profiler of 3.10 does not see: a weak reference's call when this goes.
kept = []


class Queue:
    def __init__(self):
        self.queue = asyncio.Queue(1)

    def __aiter__(self):
        return self

    async def __anext__(self):
        item = await self.queue.get()
        if item is None:
            raise StopAsyncIteration
        return item


async def produce(queue, count):
    for n in range(count):
        await queue.queue.put(n)
    await queue.queue.put(None)


async def consume(queue):
    total = 0
    async for n in queue:
        total += n
    return total


async def countdown(n):
    while n:
        yield n
        await asyncio.sleep(0)
        n -= 1


class Resource:
    async def __aenter__(self):
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *error):
        await asyncio.sleep(0)
        return True


async def failing(depth):
    if depth:
        await failing(depth - 1)
    await asyncio.sleep(0)
    raise KeyError(depth)


async def cancelled(event):
    try:
        await event.wait()
    except asyncio.CancelledError:
        await asyncio.sleep(0)
        raise


async def leave_early():
    numbers = countdown(3)
    async for n in numbers:
        if n == 2:
            break
    kept.append(numbers)


async def main():
    queue = Queue()
    # Some versions' gather() starts what are no tasks yet in any order.
    both = [asyncio.ensure_future(task) for task in (produce(queue, 5), consume(queue))]
    print(await asyncio.gather(*both))
    async with Resource():
        await failing(4)
    tasks = [asyncio.ensure_future(failing(2))]
    await asyncio.sleep(0)
    with contextlib.suppress(KeyError):
        await tasks[0]
    waiting = asyncio.ensure_future(cancelled(asyncio.Event()))
    await asyncio.sleep(0)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    await leave_early()
    print([n async for n in countdown(4)])
    async with asyncio.Lock():
        print(sum([n async for n in countdown(2)]))


def everything():
    gc.collect()
    gc.disable()
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(main())
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


if __name__ == "__main__":
    everything()
