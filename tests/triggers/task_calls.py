"""Two tasks of asyncio that go on in turns, each in a coroutine that awaits another."""

import asyncio


async def inner(turns):
    for _ in range(turns):
        await asyncio.sleep(0)


async def outer(turns):
    await inner(turns)


async def main():
    loop = asyncio.get_running_loop()
    first, second = loop.create_task(outer(3)), loop.create_task(outer(2))
    first.set_name("first")
    second.set_name("second")
    await asyncio.gather(first, second)


loop = asyncio.new_event_loop()
task = loop.create_task(main())
task.set_name("main")
loop.run_until_complete(task)
loop.close()
