"""Calls functions whose arguments are of all kinds of places: plain, named, rest, in cells."""


def plain(user, amount, *rest, currency="EUR", **more):
    doubled = amount * 2
    return doubled


def in_cell(kept, other):
    def inner(argument):
        return kept, argument

    return inner


class Account:
    def charge(self, amount):
        return amount


def generate(count):
    for number in range(count):
        yield number


def something(nothing):
    return nothing


plain("ann", 1500)
plain("bob", -7, "a", "b", currency="USD", note=[1])
in_cell("in a cell", 3)("inner")
Account().charge(12)
list(generate(1))
something("something")
