"""What does a call of `logging` cost before and after `logly.install()`, for each kind of handler?

Each kind has a logger and a file of its own, once served by logly and once for the functions that `logging.Logger` had
before `install`, in the same process. `python bench/cost.py install` compares kinds of calls instead.
"""

import logging
import logging.handlers
import os
import sys
from collections.abc import Callable
from types import MethodType, SimpleNamespace

import logly
from harness.comparison import Bench, Target, median, ratio

CALL = "logger.info('order %s filled at %.2f', i, x)"
LAYOUT = "%(asctime)s %(levelname)s %(name)s %(message)s"
NEVER = 1 << 40
FEW = 100
"""Calls in a burst of `logging` alone, each of which takes so much longer."""
ROUNDS = 60
PROCESSES = 3
Make = Callable[[str], logging.Handler]


def stderr_to(path: str) -> Callable[[], None]:
    """logly serves no streams but the interpreter's own. Returns what gives the process its stderr back."""
    own, file = os.dup(2), os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(file, 2)
    os.close(file)

    def restore() -> None:
        os.dup2(own, 2)
        os.close(own)

    return restore


def json_file(path: str) -> logging.Handler:
    from pythonjsonlogger.json import JsonFormatter

    handler = logging.FileHandler(path)
    handler.setFormatter(JsonFormatter(LAYOUT))
    return handler


KINDS: dict[str, Make] = {
    "FileHandler": logging.FileHandler,
    "WatchedFileHandler": logging.handlers.WatchedFileHandler,
    "RotatingFileHandler": lambda path: logging.handlers.RotatingFileHandler(path, maxBytes=NEVER, backupCount=1),
    "TimedRotatingFileHandler": lambda path: logging.handlers.TimedRotatingFileHandler(path, when="W0"),
    "FileHandler, JsonFormatter": json_file,
}

STREAM = "StreamHandler on stderr"

FIGURES = [
    *(ratio(f"{name}: before / after", f"{name}, before", f"{name}, after", "20") for name in (*KINDS, STREAM)),
    *(median(f"{name}, {when}: ns", f"{name}, {when}") for name in (*KINDS, STREAM) for when in ("before", "after")),
]


def target_of(bench: Bench, name: str, when: str, make: Make) -> Target:
    path = bench.path(f"{len(bench.targets)}.log")
    handler = make(path)
    if handler.formatter is None:
        handler.setFormatter(logging.Formatter(LAYOUT))
    made = logging.getLogger(f"bench.{when}.{len(bench.targets)}")
    made.setLevel(logging.INFO)
    made.propagate = False
    made.addHandler(handler)
    return bench.target(Target(f"{name}, {when}", made, [path], handler.flush, handler.close))


def streams(bench: Bench) -> tuple[Target, Target]:
    """A handler on stderr, which is a file meanwhile; and one on a stream of the same kind, for `logging` alone."""
    gives_back: list[Callable[[], None]] = []

    def on_stderr(path: str) -> logging.Handler:
        gives_back.append(stderr_to(path))
        return logging.StreamHandler(sys.__stderr__)

    def on_a_file(path: str) -> logging.Handler:
        return logging.StreamHandler(open(path, "a", encoding="utf-8", buffering=1))  # the handler's

    after = target_of(bench, STREAM, "after", on_stderr)
    after.close = gives_back[0]
    return after, target_of(bench, STREAM, "before", on_a_file)


def subjects(bench: Bench) -> None:
    before = vars(logging.Logger)["info"]
    logly.install()
    pairs = {}
    for name, make in KINDS.items():
        try:
            pairs[name] = target_of(bench, name, "after", make), target_of(bench, name, "before", make)
        except ImportError as error:
            print(f"left out: {error}", file=sys.stderr)
    pairs[STREAM] = streams(bench)
    for name, (after, alone) in pairs.items():
        bench.add(f"{name}, after", after, CALL)
        plain = SimpleNamespace(info=MethodType(before, alone.logger))
        bench.add(f"{name}, before", alone, CALL, logger=plain, calls=FEW)
