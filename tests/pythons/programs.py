"""Programs as people write them; each says in its text how often what is called.

programs.py pools             two pools of threads, the second fed by callbacks of the first
programs.py coroutines        twenty that wait three times, one that is cancelled, one that raises, a generator
programs.py launcher [go]     becomes a shell, `env` and then this Python again, which calls task() 7 times
programs.py children          one that is no Python, a shell that becomes one, one in the background
programs.py widths            names whose characters take one to four bytes, of Python's and of UTF-8
"""

import os
import subprocess
import sys


def task(n=0):
    return n


def pools():
    import threading
    from concurrent.futures import ThreadPoolExecutor

    def first(n):
        return n * 2

    def second(n):
        return task(n)

    done = threading.Semaphore(0)
    one, two = ThreadPoolExecutor(4), ThreadPoolExecutor(4)

    def hand_on(future):
        two.submit(second, future.result()).add_done_callback(lambda _: done.release())

    for n in range(100):
        one.submit(first, n).add_done_callback(hand_on)
    for _ in range(100):
        done.acquire()
    one.shutdown()
    two.shutdown()


def coroutines():
    import asyncio

    async def worker():
        for _ in range(3):
            await asyncio.sleep(0.001)

    async def cancelled():
        await asyncio.sleep(100)

    async def raises():
        await asyncio.sleep(0)
        raise ValueError

    async def numbers():
        for n in range(5):
            yield n

    async def run():
        await asyncio.gather(*[worker() for _ in range(20)])
        future = asyncio.ensure_future(cancelled())
        await asyncio.sleep(0.001)
        future.cancel()
        await asyncio.gather(future, raises(), return_exceptions=True)
        async for _ in numbers():
            pass

    asyncio.new_event_loop().run_until_complete(run())


def launcher(*go):
    if not go:
        line = "exec env X=1 %s %s launcher go" % (sys.executable, __file__)
        os.execvp("sh", ["sh", "-c", line])
    for n in range(7):
        task(n)


def children():
    task()
    subprocess.call(["true"])
    code = "def task(): pass\ntask()"
    subprocess.call(["sh", "-c", "true; exec %s -S -c '%s'" % (sys.executable, code)])
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            task()
        os._exit(0)
    os.wait()


def widths():
    for name in ["plain", "caf\u00e9", "\u043a\u0438\u0440\u0438\u043b", "\u95a2\u6570", "\U00010428\U00010429"]:
        space = {}
        exec("def %s(): pass" % name, space)
        space[name]()
    long = "\u017c" * 200
    space = {}
    exec("def %s(): pass" % long, space)
    space[long]()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
