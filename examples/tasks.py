"""Three tasks of asyncio: one computes, one sleeps without `await`, one does as it should."""

import asyncio
import time


def compute():
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass


async def computes():
    compute()
    await asyncio.sleep(0)


async def sleeps():
    await asyncio.sleep(0)
    time.sleep(0.1)


async def waits():
    await asyncio.sleep(0.2)


async def main():
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(work()) for work in (computes, sleeps, waits)]
    for task, name in zip(tasks, ("computing", "sleeping", "waiting")):
        task.set_name(name)
    await asyncio.gather(*tasks)


asyncio.run(main())
