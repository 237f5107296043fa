"""The standard library's `logging` with a `FileHandler`."""

import logging

from harness.scenarios import PERCENT, Scenario, Session
from peers._percent import DATE, LAYOUTS, json_line

LABEL = "logging FileHandler"
DISTRIBUTION = ""


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json_line(record)


def file_handler(path: str, scenario: Scenario) -> logging.Handler:
    handler = logging.FileHandler(path)
    if scenario.layout == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter(LAYOUTS[scenario.layout], DATE))
    return handler


def setup(path: str, scenario: Scenario) -> Session:
    handler = file_handler(path, scenario)
    logger = logging.getLogger("bench")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return Session(logger, PERCENT, handler.flush, handler.close)
