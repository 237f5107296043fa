"""Logbook with its `FileHandler`."""

import json
from typing import Any

import logbook

from harness.scenarios import BRACE, PERCENT, Scenario, Session

LABEL = "Logbook FileHandler"
DISTRIBUTION = "Logbook"
STATEMENTS = BRACE | {"fields": PERCENT["fields"]}
TIME = "{record.time:%Y-%m-%d %H:%M:%S.%f} | {record.level_name:<8} | "
LAYOUTS = {
    "short": TIME + "{record.message}",
    "site": TIME + "{record.module}:{record.func_name}:{record.lineno} | {record.message}",
    "full": TIME + "{record.thread} {record.filename}:{record.lineno} {record.message}",
}


def json_line(record: Any, handler: Any) -> str:
    line = {"timestamp": record.time.isoformat(), "level": record.level_name, "message": record.message}
    return json.dumps(line | record.extra)


def setup(path: str, scenario: Scenario) -> Session:
    handler = logbook.FileHandler(path, level=logbook.INFO, bubble=False)
    if scenario.layout == "json":
        handler.formatter = json_line
    else:
        handler.format_string = LAYOUTS[scenario.layout]
    handler.push_application()
    logger = logbook.Logger("bench")
    logger.level = logbook.INFO
    return Session(logger, STATEMENTS, handler.flush, handler.close)
