"""logxide with the file handler of its Rust core, which has one fixed layout (time, name, level, message)."""

import itertools
import os
import time

import logxide
from logxide import logxide as core

from harness.scenarios import PERCENT, Scenario, Session, Unsupported

LABEL = "logxide"
DISTRIBUTION = "logxide"
NOTE = "its file has no line breaks, and it writes every record to the console, too; its `flush` does not wait"


def tail(path: str) -> bytes:
    if not os.path.exists(path):
        return b""
    with open(path, "rb") as file:
        file.seek(-min(200, os.path.getsize(path)), os.SEEK_END)
        return file.read()


def setup(path: str, scenario: Scenario) -> Session:
    if scenario.layout == "json" or scenario.fail is not None:
        raise Unsupported("its file handler writes neither fields nor tracebacks")
    if scenario.layout in ("site", "full"):
        raise Unsupported("its file handler has no layout")
    # Size and count for its rotation: never.
    core.register_file_handler(path, 1 << 60, 1, 20)
    logger = core.getLogger("bench")
    logger.setLevel(20)

    numbers = itertools.count()

    def flush() -> None:
        # Its flush returns before the records are written: wait for one more that is written after them.
        last = f"<flush {next(numbers)}>"
        logger.info(last)
        while last.encode() not in tail(path):
            time.sleep(0.002)

    return Session(logger, PERCENT, flush, logxide.flush)
