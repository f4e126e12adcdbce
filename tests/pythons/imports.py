"""Imports of all kinds. With the argument `twin`, tells what the interpreter looks for itself."""
import os
import shutil
import sys
import tempfile
import threading

MODULES = {
    "leaf.py": "",
    "nested.py": "import leaf, package.inner",
    "package/__init__.py": "from . import first",
    "package/first.py": "import leaf",
    "package/inner/__init__.py": "",
    "package/inner/last.py": "from .. import second",
    "package/second.py": "",
    "raising.py": "import in_raising\nraise ValueError",
    "in_raising.py": "",
    "optional.py": "try:\n    import not_there\nexcept ImportError:\n    import instead",
    "instead.py": "",
    "broken.py": "import (",
    "ümläut_ß/__init__.py": "import 模块",
    "模块.py": "",
    "ümläut_ß/Ωμέγα.py": "",
    "threaded.py": "import threading, time\ntime.sleep(0.01)\nimport leaf_of_thread",
    "leaf_of_thread.py": "",
    "a%s.py" % ("b" * 100): "",
}

folder = tempfile.mkdtemp()
for path, text in MODULES.items():
    path = os.path.join(folder, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
sys.path.insert(0, folder)
sys.dont_write_bytecode = True

events = []


def twin():
    bootstrap = sys.modules["_frozen_importlib"]
    original = bootstrap._find_and_load

    def wrapped(name, import_):
        # importlib.import_module() calls it, too, but not through the interpreter.
        told = sys._getframe(1).f_code.co_name != "_gcd_import"
        found = 0
        if told:
            events.append("> " + name)
        try:
            module = original(name, import_)
            found = 1
            return module
        finally:
            if told:
                events.append("< %s %d" % (name, found))

    bootstrap._find_and_load = wrapped


def attempt(statement):
    try:
        exec(statement, {})
    except (ImportError, SyntaxError, ValueError):
        pass


if "twin" in sys.argv:
    twin()
attempt("import the_beginning")
for statement in [
    "import leaf",
    "import leaf",
    "import nested",
    "from package.inner import last",
    "from package.inner import missing",
    "import package.missing",
    "import missing.more",
    "import raising",
    "import raising",
    "import optional",
    "import broken",
    "import ümläut_ß",
    "from ümläut_ß import Ωμέγα",
    "import Ωμέγα",
    "import a%s" % ("b" * 100),
    "__import__('leaf')",
    "import importlib; importlib.import_module('this_is_not_told')",
    "import json.tool",
]:
    attempt(statement)
thread = threading.Thread(target=attempt, args=("import threaded",))
thread.start()
thread.join()
attempt("import the_end")
sys.stdout.buffer.write("".join(event + "\n" for event in events).encode("utf-8"))
shutil.rmtree(folder)
