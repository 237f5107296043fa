"""Layouts of the libraries that follow the standard library's `logging`."""

import json
import time
from typing import Any

LAYOUTS = {
    "short": "%(asctime)s.%(msecs)03d | %(levelname)-8s | %(message)s",
    "site": "%(asctime)s.%(msecs)03d | %(levelname)-8s | %(module)s:%(funcName)s:%(lineno)d | %(message)s",
    "full": "%(asctime)s.%(msecs)03d %(thread)d %(filename)s:%(lineno)d %(levelname)-8s %(message)s",
}
DATE = "%Y-%m-%d %H:%M:%S"
FIELDS = ("order", "price", "symbol", "live")


def json_line(record: Any) -> str:
    """The fields scenario as users of `logging` write it: a formatter around `json.dumps`."""
    timestamp = time.strftime(DATE, time.localtime(record.created))
    line = {"timestamp": timestamp, "level": record.levelname, "message": record.getMessage()}
    for name in FIELDS:
        if hasattr(record, name):
            line[name] = getattr(record, name)
    return json.dumps(line)
