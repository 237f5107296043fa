"""What a layout keeps of a line (thread, call site, level, logger): always that of the record."""

from __future__ import annotations

import logging
import random

import pytest

from logly._core import logging_lines
from logly.bridge.formatters import layout_of

FORMATS = [
    "%(name)s %(levelname)-8s %(levelno)s %(filename)s:%(lineno)d %(funcName)s %(thread)d %(process)d|%(message)s",
    "%(name)s|%(message)s|%(levelname)s|%(message)s|%(module)s",
    "%(levelname)s",
]


@pytest.mark.parametrize("fmt", FORMATS)
def test_records_of_many_threads_sites_levels_and_loggers_in_any_order(fmt: str) -> None:
    formatter = logging.Formatter(fmt)
    layout = layout_of(formatter)
    source = random.Random(7)
    for _ in range(3000):
        site, origin = source.randint(1, 40), source.randint(1, 3)
        level, thread = source.choice([10, 20, 21, 30]), source.choice([0, 4096, 2**63])
        function, name = f"f{site}_" + "n" * (site * 7 % 200), f"app.{origin}"
        record = logging.LogRecord(name, level, f"/srv/file_{site}.py", site, "message", (), None, function)
        record.thread, record.process = thread, source.choice([1, 2])
        given = {
            "name": name,
            "levelno": level,
            "message": "message",
            "site": ("module", function, record.pathname, site),
            "is_inline": source.random() < 0.1,
            "time_ns": 0,
            "thread": thread,
            "thread_name": "",
            "process": record.process,
            "fields": {},
            "exc_info": None,
            "stack_info": None,
            "serial": site,
            "origin": origin,
        }
        expected = (formatter.format(record) + "\n").encode()
        assert logging_lines(layout.program, given) == (expected, expected)
