"""Two named tasks of asyncio in turns, each of which makes system calls; and one outside."""

import asyncio
import os


async def work(turns):
    for _ in range(turns):
        os.getppid()
        await asyncio.sleep(0)


async def main():
    first = asyncio.get_running_loop().create_task(work(3))
    first.set_name("first")
    second = asyncio.get_running_loop().create_task(work(2))
    second.set_name("second")
    await asyncio.gather(first, second)


os.getppid()
asyncio.run(main())
