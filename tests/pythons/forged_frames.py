"""Forges what its interpreter keeps of frames and threads, calls getppid(), and mends it again.

The first argument says what: `cycle`, a chain of frames without an end; `kernel`, a caller at an address of the kernel's;
`edge`, a caller at the start of a page, in front of which nothing can be read; `states`, a list of threads without an end;
`place`, a call of the interpreter's function that has no frame in C.
"""

import ctypes
import mmap
import os
import sys
import threading
import time

KERNEL = 0xFFFF888000000000

# What every object starts with.
HEADER = object.__basicsize__

OLD = sys.version_info < (3, 11)


def word(address):
    return ctypes.c_uint64.from_address(address)


def structure(frame):
    """The address of a frame as the interpreter has it."""
    return id(frame) if OLD else word(id(frame) + HEADER + 8).value


# In that, where its caller's is: before 3.11 behind a size.
PREVIOUS = HEADER + 8 if OLD else 48 if sys.version_info < (3, 12) else 8


def ask_with(place, value):
    """Calls getppid() while there is something else."""
    kept = place.value
    place.value = value
    os.getppid()
    place.value = kept


def forge_caller(value):
    """Forges the caller of the function that calls this one."""
    frame = structure(sys._getframe(1))
    ask_with(word(frame + PREVIOUS), frame if value is None else value)


def forge_edge():
    """The caller of main() is at the start of a page, and what is in front of it cannot be read."""
    pages = mmap.mmap(-1, 2 * mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    mprotect = ctypes.CDLL(None).mprotect
    mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    mprotect(start, mmap.PAGESIZE, 0)
    place = word(structure(sys._getframe(1)) + PREVIOUS)
    edge = start + mmap.PAGESIZE
    ctypes.memmove(edge, place.value, 128)
    ask_with(place, edge)


def forge_states():
    """The newest thread is followed by itself, so that this one is not found."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    time.sleep(0.2)
    state = ctypes.pythonapi.PyThreadState_Get
    state.restype = ctypes.c_uint64
    newest = word(state()).value
    ask_with(word(newest + 8), newest)
    end.set()
    thread.join()


def forge_place(_):
    """What is called by C has a caller, in front of the functions that called C, that is not on the stack of C."""
    if sys.version_info < (3, 12):
        state = ctypes.pythonapi.PyThreadState_Get
        state.restype = ctypes.c_uint64
        # A struct: its second word is the current frame, its third the struct of the call before.
        place = word(word(state() + 56).value + 16)
    else:
        place = word(structure(sys._getframe()) + PREVIOUS)
    copy = ctypes.create_string_buffer(ctypes.string_at(place.value, 128), 128)
    ask_with(place, ctypes.addressof(copy))
    return 0


def main():
    what, wait = sys.argv[1], float(sys.argv[2])
    time.sleep(wait)
    if what == "cycle":
        forge_caller(None)
    elif what == "kernel":
        forge_caller(KERNEL)
    elif what == "edge":
        forge_edge()
    elif what == "states":
        forge_states()
    else:
        sorted([1], key=forge_place)


main()
