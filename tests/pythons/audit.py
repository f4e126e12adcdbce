"""Prints the audit events of some imports, files, subprocesses and compilations."""

import sys

told = []


def everything():
    import colorsys
    import socket

    colorsys.rgb_to_hls(0, 0, 0)
    open("/dev/null").close()
    compile("1 + 1", "somewhere", "eval")
    eval("1 + 1")
    exec("x = 1")
    sys._getframe()
    socket.socket().close()
    setattr(sys, "excepthook", sys.excepthook)
    id(everything.__code__)
    everything.__defaults__ = (1,)
    sys.audit("my.event", 1, 2)
    sys.audit("my.unicode.\u00e9")


sys.addaudithook(lambda event, _arguments: told.append(event))
sys.audit("first")
everything()
sys.audit("last")
for event in told:
    if event != "last":
        print(event)
    else:
        break
