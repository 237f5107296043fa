"""picologging with its `FileHandler`."""

from typing import Any

import picologging
from harness import PERCENT, Scenario, Session
from peers._percent import DATE, LAYOUTS, json_line

LABEL = "picologging FileHandler"
DISTRIBUTION = "picologging"


class JsonFormatter(picologging.Formatter):
    def format(self, record: Any) -> str:
        return json_line(record, self.formatTime(record))


def file_handler(path: str, scenario: Scenario) -> Any:
    handler = picologging.FileHandler(path)
    if scenario.layout == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(picologging.Formatter(LAYOUTS[scenario.layout], DATE))
    return handler


def setup(path: str, scenario: Scenario) -> Session:
    handler = file_handler(path, scenario)
    logger = picologging.Logger("bench", picologging.INFO)
    logger.addHandler(handler)
    return Session(logger, PERCENT, handler.flush, handler.close)
