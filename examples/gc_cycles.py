"""Makes garbage in cycles, then collects each generation once, for gc.d."""

import gc


class Node:
    def __init__(self):
        self.itself = self


gc.disable()
for generation in range(3):
    for _ in range(1000):
        Node()
    gc.collect(generation)
