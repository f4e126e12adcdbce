"""Code that comes from no file, or says that it comes from another: what template engines and interactive use make."""


def everything():
    space = {"__name__": "made"}
    eval("(lambda: 1)()", space)
    exec("def made():\n    pass\nmade()", space)
    exec(compile("def named():\n    return 1\n\n\nnamed()", "<template 'index.html'>", "exec"), space)
    exec(compile("def empty(): pass\nempty()", "", "exec"), space)
    exec(compile("\n" * 300 + "def far(): return [n for n in (1, 2)]\nfar()", "a/b.py", "exec"), space)
    exec(compile("def " + "long_name_" * 20 + "(): pass\n" + "long_name_" * 20 + "()", "<l>", "exec"), space)
    for n in range(20):
        # Each takes the place of the one before in memory.
        exec(compile("def f%d():\n%s    pass\nf%d()" % (n, "\n" * n, n), "<%d>" % n, "exec"), space)
        eval("sum(n for n in (%d, 2))" % n, space)
    body = {"method": lambda self: 2}
    type("Made", (), body)().method()


if __name__ == "__main__":
    everything()
