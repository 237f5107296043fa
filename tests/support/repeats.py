"""What tests of `SinkConfig.dedup` share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from logly import Logger, SinkConfig
from tests.support.log_files import lines_of

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400
TIMES = re.compile(r"repeated (\d+) times? (?:from \S+ to|at) \S+: ")


def add(logger: Logger, path: Path, **settings: Any) -> int:
    """Adds a file that counts repeats. Returns the sink's id."""
    return logger.add_sink(SinkConfig(path=path, **{"format": "{message}", "dedup": DAY, **settings}))


def short(line: str) -> str:
    """The line without times: "x5 text" where it tells of repeats."""
    return TIMES.sub(r"x\1 ", line)


def told(path: Path) -> list[str]:
    """The lines of a file, without times."""
    return [short(line) for line in lines_of(path)]


def say(logger: Logger, text: str, times: int = 1) -> None:
    """Logs the text, always at the same call site."""
    for _ in range(times):
        logger.info("{}", text)
