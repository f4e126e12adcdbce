"""A small program whose calls call_stack.d shows: everything below start()."""


def function_1():
    function_3()


def function_2():
    function_1()


def function_3():
    pass


def function_4():
    return [function_3() for _ in range(2)]


def function_5():
    function_4()


def start():
    function_1()
    function_2()
    function_5()


start()
