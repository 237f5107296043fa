"""What does a call of `logging` cost that goes to logly by StdlibHandler?

`at the call`: the text is made on the caller's thread, as it is where the flusher does not render it. `logging` itself
takes most of each call before it asks a handler; `nothing` is that alone.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from harness.comparison import Bench, median, ratio
from logly import StdlibHandler, stdlib

PERCENT = "logger.info('order %s filled at %.2f', i, x)"
OWN = "logger.info('order {} filled at {:.2f}', i, x)"
TEXT = "logger.info('a text of 24 characters.')"
MANY = "logger.info('%s %d %r %.3f %s %5d %-8s|', 'abcdef', i, 'é', x, None, i, 'xyz')"
CALLS = {"two arguments": PERCENT, "seven arguments": MANY, "text": TEXT}
ROUNDS = 200

FIGURES = [
    *(ratio(f"{name}: by the flusher / at the call", name, f"{name}, at the call", "1") for name in CALLS),
    *(median(f"{name}: ns", name) for name in CALLS),
    *(median(f"{name}, at the call: ns", f"{name}, at the call") for name in CALLS),
    median("two arguments, logging alone: ns", "nothing"),
    median("two arguments, a call of logly: ns", "own"),
]


@contextmanager
def texts_at_the_call() -> Iterator[None]:
    """As for a record whose class has a `getMessage` of its own."""
    before = stdlib._GET_MESSAGE
    stdlib._GET_MESSAGE = None
    try:
        yield
    finally:
        stdlib._GET_MESSAGE = before


def logging_logger(name: str, handler: logging.Handler) -> logging.Logger:
    made = logging.getLogger(f"bench.{name}")
    made.setLevel(logging.DEBUG)
    made.propagate = False
    made.addHandler(handler)
    return made


def subjects(bench: Bench) -> None:
    target, own = bench.logger({}), bench.logger({})
    through = logging_logger("through", StdlibHandler(target.logger))
    for name, statement in CALLS.items():
        bench.add(name, target, statement, logger=through)
        bench.add(f"{name}, at the call", target, statement, logger=through, around=texts_at_the_call)
    nothing = logging_logger("nothing", logging.NullHandler())
    bench.add("nothing", bench.floor, PERCENT, logger=nothing, lines_per_call=0)
    bench.add("own", own, OWN)
