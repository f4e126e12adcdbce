"""Functions and generator expressions whose code comes to the same addresses, one after another.

usage: reused.py RESULT
Writes how often each is entered, and how often an address came again, to RESULT.
"""

import sys

TIMES = 500
# Both have a variable of the function around them, so that both start with the same instructions.
FUNCTION = """
def around(y):
    def function(x):
        {} return y
    return function
for x in range(10): around(x)(x)
code = around(0).__code__
"""
EXPRESSION = """
def around(y):
    return (x + y for x in range(3))
for x in range(10):
    made = around(x)
    list(made)
code = made.gi_code
"""


def run(source):
    """Runs it and gives its code."""
    names = {}
    exec(source, names)
    return names["code"]


def main():
    size = sys.getsizeof(run(EXPRESSION))
    longer = 0
    while sys.getsizeof(run(FUNCTION.format("x;" * longer))) < size:
        longer += 1
    last, again = {}, 0
    for _ in range(TIMES):
        for kind, source in enumerate([FUNCTION.format("x;" * longer), EXPRESSION]):
            code = run(source)
            again += last.get(id(code), 1) < kind
            last[id(code)] = kind
            del code
    with open(sys.argv[1], "w") as file:
        file.write("<genexpr> {}\n".format(10 * 4 * (1 + TIMES)))
        file.write("function {}\n".format(10 * (longer + 1 + TIMES)))
        file.write("again {}\n".format(again))


main()
