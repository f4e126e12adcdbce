def leaf(n):
    return n
def recurse(n):
    if n:
        return recurse(n - 1)
    return leaf(n)
def fail():
    raise ValueError
def catch():
    try:
        fail()
    except ValueError:
        return leaf(1)
def generate():
    try:
        yield leaf(2)
    except KeyError:
        yield 3
    finally:
        leaf(4)
def delegate():
    yield from generate()
class Key:
    value = leaf(5)
    def __lt__(self, other):
        return False
recurse(2)
catch()
thrown = generate()
next(thrown)
thrown.throw(KeyError)
thrown.close()
list(delegate())
sorted([Key(), Key()])
[leaf(n) for n in (6,)]
sum(leaf(n) for n in (7, 8))
import sys
class Finder:
    def find_spec(name, path, target=None):
        if name == "found":
            return type(sys.__spec__)(name, Finder)
        return None
    def create_module(spec):
        return None
    def exec_module(module):
        leaf(9)
sys.meta_path.insert(0, Finder)
import found
import found
try:
    import missing
except ImportError:
    leaf(10)
leaf(11)
sys.setprofile(getattr)
leaf(12)
list(generate())
sys.setprofile(None)
leaf(13)
