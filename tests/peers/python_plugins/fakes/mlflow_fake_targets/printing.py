"""A plugin that prints its help, and whose help fails at the second call."""

from .bare import Bare

CALLS = []


class Printing(Bare):
    pass


def run_local(name, model_uri, flavor=None, config=None):
    raise SystemExit(2)


def target_help():
    CALLS.append(1)
    print("the help of printing")
