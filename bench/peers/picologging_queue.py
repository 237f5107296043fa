"""picologging's `QueueHandler` and `QueueListener` before its `FileHandler`."""

import queue
from typing import Any

import picologging
import picologging.handlers

from harness.scenarios import PERCENT, Scenario, Session
from peers.picologging_file import file_handler

LABEL = "picologging QueueHandler"
DISTRIBUTION = "picologging"


def setup(path: str, scenario: Scenario) -> Session:
    records: queue.Queue[Any] = queue.Queue()
    listener = picologging.handlers.QueueListener(records, file_handler(path, scenario))
    logger = picologging.Logger("bench", picologging.INFO)
    logger.addHandler(picologging.handlers.QueueHandler(records))
    listener.start()
    return Session(logger, PERCENT, records.join, listener.stop)
