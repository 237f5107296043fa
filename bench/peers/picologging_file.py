"""picologging with its `FileHandler`."""

from typing import Any

import picologging

from harness.scenarios import PERCENT, Scenario, Session, Unsupported
from peers._percent import DATE

LABEL = "picologging FileHandler"
DISTRIBUTION = "picologging"
NOTE = "pads no level; `%(msecs)d` gives nanoseconds; its call site is the frame above the call"
TIME = "%(asctime)s.%(msecs)d"
# Its formatter writes a field with a width, like `%(levelname)-8s`, as it stands.
LAYOUTS = {
    "short": f"{TIME} | %(levelname)s | %(message)s",
    "site": f"{TIME} | %(levelname)s | %(module)s:%(funcName)s:%(lineno)d | %(message)s",
    "full": f"{TIME} %(thread)d %(filename)s:%(lineno)d %(levelname)s %(message)s",
}


def file_handler(path: str, scenario: Scenario) -> Any:
    if scenario.layout == "json":
        raise Unsupported("its records do not carry `extra`")
    handler = picologging.FileHandler(path)
    handler.setFormatter(picologging.Formatter(LAYOUTS[scenario.layout], DATE))
    return handler


def setup(path: str, scenario: Scenario) -> Session:
    handler = file_handler(path, scenario)
    logger = picologging.Logger("bench", picologging.INFO)
    logger.addHandler(handler)
    return Session(logger, PERCENT, handler.flush, handler.close)
