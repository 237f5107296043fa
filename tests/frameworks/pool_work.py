"""What the processes of tests/frameworks/test_pickling.py run: they import it, so pytest does not rewrite it."""

from __future__ import annotations

import os
import pickle
import sys
from typing import TYPE_CHECKING, Any

import logly

if TYPE_CHECKING:
    from logly import Logger, Record


def write(logger: Logger, first: int, count: int) -> int:
    for i in range(first, first + count):
        logger.info("line {}", i)
    return os.getpid()


def engines(*loggers: Logger) -> tuple[int, list[str], int]:
    """How many engines the loggers have, their names, and how many the process has."""
    from logly.control.process import controllers

    return len({id(one._controller) for one in loggers}), [one.name for one in loggers], len(controllers())


def is_the_inherited(logger: Logger) -> bool:
    return logger._controller is inherited[0]._controller


inherited: list[Logger] = []


def keeps(record: Record) -> bool:
    return "secret" not in record.message


def tell(error: Exception) -> None:
    """An `on_error`."""


def now() -> int:
    return 1_700_000_000_000_000_000


def context() -> dict[str, object]:
    return {"pid": os.getpid()}


def name_and_line(path: str, logger: Logger) -> str:
    logger.info("in the child")
    logger.flush()
    return logger.name


def main() -> None:
    """A program of its own: unpickles what it gets, in any order."""
    parcels: list[bytes] = pickle.load(sys.stdin.buffer)
    loggers: list[Any] = [pickle.loads(parcel) for parcel in parcels]
    sys.stdout.buffer.write(pickle.dumps(engines(*loggers)))
    for logger in loggers:
        logger.info("from {}", logger.name)


if __name__ == "__main__":
    logly.logger.configure(auto_sink=False)
    main()
