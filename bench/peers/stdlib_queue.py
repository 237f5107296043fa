"""The standard library's `QueueHandler` and `QueueListener` before a `FileHandler`."""

import logging
import logging.handlers
import queue

from harness.scenarios import PERCENT, Scenario, Session
from peers.stdlib_file import file_handler

LABEL = "logging QueueHandler"
DISTRIBUTION = ""


def setup(path: str, scenario: Scenario) -> Session:
    records: queue.Queue[logging.LogRecord] = queue.Queue()
    handler = file_handler(path, scenario)
    listener = logging.handlers.QueueListener(records, handler)
    logger = logging.getLogger("bench")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(logging.handlers.QueueHandler(records))
    listener.start()
    return Session(logger, PERCENT, records.join, listener.stop)
