"""Collections of all generations, by hand and by themselves; prints what the collector says of each."""

import gc

told = []


def tell(phase, info):
    # No function call with a frame of its own that could be collected.
    told.append((phase, info["generation"], info["collected"]))


class Node:
    def __init__(self):
        self.other = self


def everything():
    for generation in (0, 1, 2):
        for _ in range(generation + 3):
            Node()
        gc.collect(generation)
    kept = []
    for _ in range(3000):
        kept.append(Node())
        Node()
    gc.collect()


gc.collect()
gc.callbacks.append(tell)
everything()
gc.callbacks.remove(tell)
for phase, generation, collected in told:
    print("> %d" % generation if phase == "start" else "< %d" % collected)
