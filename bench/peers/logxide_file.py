"""logxide (from 0.3.0 on, CPython 3.12 and newer) with the file handler and the formatter of its Rust core."""

import logxide
from logxide import logxide as core

from harness.scenarios import PERCENT, Scenario, Session, Unsupported

LABEL = "logxide"
DISTRIBUTION = "logxide"
NOTE = "times have whole seconds and threads a number of its own: another form is formatted by Python"
LAYOUTS = {
    "short": "%(asctime)s | %(levelname)-8s | %(message)s",
    "site": "%(asctime)s | %(levelname)-8s | %(module)s:%(funcName)s:%(lineno)d | %(message)s",
    "full": "%(asctime)s %(thread)d %(filename)s:%(lineno)d %(levelname)-8s %(message)s",
}
INFO = 20


def setup(path: str, scenario: Scenario) -> Session:
    if scenario.layout not in LAYOUTS:
        raise Unsupported("its core writes no fields")
    core.register_file_handler(path, INFO, LAYOUTS[scenario.layout])
    logger = logxide.getLogger("bench")
    logger.setLevel(INFO)
    return Session(logger, PERCENT, logxide.flush)
