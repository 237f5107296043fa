"""A function for `SinkConfig.batch` that does as a test says."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from logly import Logger, SinkConfig
from tests.support.waiting import PATIENCE_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable


class Endpoint:
    """The other side: keeps what it takes.

    Attributes:
        calls: the lines of each call, also of those that failed.
        taken: the lines of those that did not.
        counts: the numbers of records that came with `taken`.
        threads: the names of the threads that called.
        fails: what the next calls raise; None: that call succeeds.
        always: raised by each call while it is not None, and `fails` is empty.
    """

    def __init__(self, *fails: BaseException | None) -> None:
        self.calls: list[bytes] = []
        self.taken: list[bytes] = []
        self.counts: list[int] = []
        self.threads: set[str] = set()
        self.fails: deque[BaseException | None] = deque(fails)
        self.always: BaseException | None = None
        self._is_open = threading.Event()
        self._is_open.set()

    def __call__(self, lines: bytes, count: int) -> None:
        self.threads.add(threading.current_thread().name)
        self.calls.append(lines)
        assert self._is_open.wait(PATIENCE_S)
        trouble = self.fails.popleft() if self.fails else self.always
        if trouble is not None:
            raise trouble
        self.taken.append(lines)
        self.counts.append(count)

    def hang(self) -> None:
        """Calls do not return from now on, until `go_on`."""
        self._is_open.clear()

    def go_on(self) -> None:
        self._is_open.set()

    def await_calls(self, count: int) -> None:
        wait_until(lambda: len(self.calls) >= count, f"{count} calls")

    @property
    def lines(self) -> list[str]:
        """All lines that were taken."""
        return b"".join(self.taken).decode().splitlines()


def batch_sink(logger: Logger, endpoint: Any, **settings: Any) -> int:
    """Adds a sink with short lines, which are sent soon."""
    return logger.add_sink(SinkConfig(**{"batch": endpoint, "format": "{message}", "flush_interval": 5, **settings}))


def log_numbers(logger: Logger, numbers: Iterable[int]) -> list[str]:
    """Logs each number as a line, and returns the lines."""
    lines = []
    for number in numbers:
        logger.info("{}", number)
        lines.append(str(number))
    return lines
