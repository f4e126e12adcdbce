"""Raises exceptions, some of them through several functions."""


def parse(text):
    return int(text)


def load(texts):
    return [number(text) for text in texts]


def number(text):
    try:
        return parse(text)
    except ValueError:
        return None


def check(amount):
    if amount < 0:
        raise ArithmeticError("negative", amount)
    return amount


def pay(amount):
    return check(amount)


load(["1", "two"])
try:
    pay(-3)
except ArithmeticError:
    pass
