"""logxide with the file handler of its Rust core, which has one fixed layout (time, name, level, message)."""

import time
from pathlib import Path

import logxide
from logxide import logxide as core

from harness import PERCENT, Scenario, Session, Unsupported

LABEL = "logxide"
DISTRIBUTION = "logxide"
NOTE = "its file has no line breaks, and it writes every record to the console, too; its `flush` does not wait"


def setup(path: str, scenario: Scenario) -> Session:
    if scenario.layout == "json" or scenario.name == "exception":
        raise Unsupported("its file handler writes neither fields nor tracebacks")
    if scenario.layout in ("site", "full"):
        raise Unsupported("its file handler has no layout")
    # Size and count for its rotation: never.
    core.register_file_handler(path, 1 << 60, 1, 20)
    logger = core.getLogger("bench")
    logger.setLevel(20)

    def flush() -> None:
        # Its flush returns before the records are written: wait until the file stops growing.
        logxide.flush()
        size = -1
        while size != (size := Path(path).stat().st_size if Path(path).exists() else 0):
            time.sleep(0.05)

    return Session(logger, PERCENT, flush, logxide.flush)
