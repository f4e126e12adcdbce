"""Seven interpreters in one process, three after each other and four at once; prints whether it has any."""

import threading

CODE = """
def leaf(n):
    return n

def numbers():
    yield leaf(1)

def fail():
    raise KeyError

def worker():
    for n in range(50):
        leaf(n)
    list(numbers())
    try:
        fail()
    except KeyError:
        leaf(2)

worker()
"""

try:
    import _interpreters as interpreters
except ImportError:
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        interpreters = None


def one():
    which = interpreters.create()
    run = getattr(interpreters, "run_string", None) or interpreters.exec
    run(which, CODE)
    interpreters.destroy(which)


if interpreters:
    for _ in range(3):
        one()
    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print(bool(interpreters))
