"""Runs some of CPython's own tests, those of what functions can do; prints how many, and how many failed."""

import importlib
import io
import os
import sys
import unittest
import warnings

MODULES = """
    test_generators test_genexps test_coroutines test_asyncgen test_yield_from test_pep380 test_pep479 test_contextlib
    test_contextlib_async test_raise test_baseexception test_exception_group test_scope test_class test_extcall
    test_decorators test_with
"""

# Fails at times, untraced too: it depends on when a signal comes.
UNSURE = "test_raise_and_yield_from"


def sure(tests):
    for test in tests:
        if isinstance(test, unittest.TestSuite):
            yield from sure(test)
        elif UNSURE not in test.id():
            yield test


warnings.simplefilter("ignore")
sys.stdout = sys.stderr = io.StringIO()
loader = unittest.defaultTestLoader
suite = unittest.TestSuite()
modules = 0
for name in MODULES.split():
    try:
        module = importlib.import_module("test." + name)
    except ImportError:
        continue
    suite.addTests(sure(loader.loadTestsFromModule(module)))
    modules += 1
result = unittest.TextTestRunner(stream=io.StringIO(), verbosity=0).run(suite)
failed = sorted(test.id() for test, _ in result.failures + result.errors)
text = "%d modules, %d tests, %d failed %s\n" % (modules, result.testsRun, len(failed), failed)
os.write(1, text.encode())
