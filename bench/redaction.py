"""What do `redact`, `redact_text` and `transform` cost?

    python bench/redaction.py [--records 200000] [--rounds 15]

Each round logs the same records with and without the setting, in turns, and the ratio is that of the round. The
flusher's share is the processor time of its thread, the caller's that of the main thread, with a ring that holds all
records, so that no call waits. `per 100 bytes`: the difference of the flusher's time over the bytes of the messages.
The lines are counted after timing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import lines, tables, turns
from logly import Logger, LoggerConfig, SinkConfig
from recorder import flusher_ns

NAMES = ["password", "*token*", "authorization"]
PLAIN_TEXT = (
    "the quick brown fox jumped over the lazy dog and went home to sleep for a very long time indeed, it says " * 2
)
KEY_VALUES = (
    "order filled order_id=123456 price=34.50 qty=100 venue=XNAS latency: 12 ms "
    "by GET https://shop.example.com/api/orders?page=2 "
    "user=anna status=200 at 2026-11-29 20:15:34"
)
COLUMNS = ["caller, ratio", "flusher, ratio", "flusher without, ns", "flusher, more ns per 100 bytes"]
TEMPLATE = "order {} filled at {:.2f}"


def two(logger: Any, count: int) -> None:
    for i in range(count):
        logger.info(TEMPLATE, i, 3.14159)


def fields(logger: Any, count: int) -> None:
    for i in range(count):
        logger.info("order filled", order=i, price=3.14159, venue="XNAS")


def text(message: str) -> Callable[[Any, int], None]:
    def log(logger: Any, count: int) -> None:
        for _ in range(count):
            logger.info(message)

    return log


@dataclass
class Case:
    name: str
    log: Callable[[Any, int], None]
    config: dict[str, Any]
    sink: dict[str, Any] = field(default_factory=dict)
    message_bytes: int = 0
    goal: str = ""


CASES = [
    Case("redact, two arguments, no field", two, {"redact": NAMES}, goal="1.03 / 1.05"),
    Case("redact, three fields, text", fields, {"redact": NAMES}, goal="1.03 / 1.05"),
    Case("redact, three fields, JSON", fields, {"redact": NAMES}, {"json": True}, goal="1.03 / 1.05"),
    Case(
        "redact_text, no trigger", text(PLAIN_TEXT), {"redact_text": True}, message_bytes=len(PLAIN_TEXT), goal="30 ns"
    ),
    Case(
        "redact_text, key=value", text(KEY_VALUES), {"redact_text": True}, message_bytes=len(KEY_VALUES), goal="60 ns"
    ),
    Case(
        "redact_text, key=value, *token*",
        text(KEY_VALUES),
        {"redact_text": True, "redact": NAMES},
        message_bytes=len(KEY_VALUES),
        goal="60 ns",
    ),
]


def measure(logger: Logger, log: Callable[[Any, int], None], count: int) -> tuple[float, float]:
    """Nanoseconds per record: of the caller, and of the flusher's processor time."""
    before, begun = flusher_ns(), time.thread_time_ns()
    log(logger, count)
    caller = time.thread_time_ns() - begun
    logger.flush()
    return caller / count, (flusher_ns() - before) / count


def compare(case: Case, folder: str, count: int, rounds: int) -> list[float | None]:
    ring = 1 << 29
    loggers, found = [], []
    for number, config in enumerate(({}, case.config)):
        path = os.path.join(folder, f"{number}.log")
        loggers.append(Logger(LoggerConfig(async_buffer_size=ring, **config)))
        loggers[-1].add_sink(SinkConfig(path=path, **case.sink))
        measure(loggers[-1], case.log, 10_000)
        found.append((path, [], []))
    for turn in range(rounds):
        for number in (0, 1) if turn % 2 else (1, 0):
            caller, flusher = measure(loggers[number], case.log, count)
            found[number][1].append(caller)
            found[number][2].append(flusher)
    for logger, (path, _, _) in zip(loggers, found, strict=True):
        logger.close()
        lines.check(case.name, path, rounds * count + 10_000, b"\n")
        Path(path).unlink()
    return figures(case, found[0][1:], found[1][1:])


def figures(case: Case, plain: Any, with_it: Any) -> list[float | None]:
    """The values of `COLUMNS`."""
    caller, flusher = (turns.ratio(ours, theirs) for ours, theirs in zip(with_it, plain, strict=True))
    more = turns.difference(with_it[1], plain[1])
    per_100 = 100 * more / case.message_bytes if case.message_bytes else None
    return [caller, flusher, statistics.median(plain[1]), per_100]


def transforms(folder: str, count: int, rounds: int) -> dict[str, list[float]]:
    found = {}
    for name, sink in {
        "no Python": {},
        "filter": {"filter": lambda record: True},
        "transform": {"transform": lambda record: record},
    }.items():
        path = os.path.join(folder, "transform.log")
        with Logger(LoggerConfig(async_buffer_size=1 << 26)) as logger:
            logger.add_sink(SinkConfig(path=path, **sink))
            taken = [sum(measure(logger, two, count)) for _ in range(rounds)]
        Path(path).unlink()
        found[name] = [statistics.median(taken)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="")
    tables.add_option(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="logly-bench-") as folder:
        cases = [case for case in CASES if options.only in case.name]
        rows = {case.name: compare(case, folder, options.records, options.rounds) for case in cases}
        goals = {case.name: case.goal for case in cases}
        tables.show(tables.Table("with the setting, against without", COLUMNS, rows, goals))
        if options.only in "transform":
            taken = transforms(folder, 20_000, options.rounds)
            tables.show(tables.Table("processor time of both threads, ns a record", ["median"], taken))
    tables.write(options.json)


if __name__ == "__main__":
    main()
