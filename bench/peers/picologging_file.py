"""picologging with its `FileHandler`."""

from typing import Any

import picologging

from harness import PERCENT, Scenario, Session, Unsupported
from peers._percent import DATE, LAYOUTS

LABEL = "picologging FileHandler"
DISTRIBUTION = "picologging"


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
