"""The thread of a batch sink: takes batches from the core, calls the sink's function, and says what became of them.

The state of the batches is in the core (flusher/batch.pxd). So what is here may fail, or be left behind by a fork, at
any point. The core keeps a batch until it hears that it was taken or refused, and asks for another thread when this one
has ended.
"""

from __future__ import annotations

import os

from logly._core import (
    batch_await,
    batch_ends,
    batch_is_given_up,
    batch_refused,
    batch_retry,
    batch_settle,
    batch_take,
    batch_thread_begins,
    batch_thread_ends,
)
from logly.errors import BatchRefused, LoglyError, RetryBatch, pause_of
from logly.system.unpatched import SystemLock, SystemThread, ThreadEntry, monotonic, pause

from .parts import FAILED, KEPT, WRITTEN, Parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from logly._core import Core, EventCount, SinkHandle

__all__ = ["Outlet"]

FIRST_PAUSE_S = 0.5
"""The longest pause after the first failure. It doubles with each further one."""
LONGEST_PAUSE_S = 30.0
LATER_BY = 0.1
"""A pause that the function has asked for is longer by so much of it at most, by chance."""
RESTART_PAUSE_S = 1.0
"""When a thread that an error has ended is replaced."""
HUNG_S = 60.0
"""Nobody waits longer for a call of the function."""
END_PATIENCE_S = 1.0
"""How long `stop` waits for the thread: for a notice of lost records, for example, that is sent last."""


class Outlet:
    """Calls a function with the batches of one sink, on a thread of its own.

    Args:
        core: the logger's engine.
        handle: the sink in the core.
        function: called with the lines and the number of records.
        wake: where the thread sleeps; the core signals it.
        name: the thread's name.
        on_retry: called with what the function has raised, where the batch is tried again.
        on_loss: called with an error for records that are given up.
        at_end: called on the thread when it ends. A Ctrl-C that cuts `stop` short does not come there.
    """

    def __init__(
        self,
        core: Core,
        handle: SinkHandle,
        function: Callable[[bytes, int], object],
        wake: EventCount,
        name: str,
        on_retry: Callable[[BaseException], None],
        on_loss: Callable[[Exception], None],
        at_end: Callable[[], None] | None = None,
    ) -> None:
        self.core = core
        self.handle = handle
        self.function = function
        self.wake = wake
        self.name = name
        self.on_retry = on_retry
        self.on_loss = on_loss
        self.at_end = at_end
        self.is_stopping = False
        self.is_calling = False
        """Whether the function is at work."""
        self.turn = SystemLock()
        """Taken for each call. Outlets with the same function share it."""
        self.hung_s: float | None = None
        self._life = core.lives
        self._failures = 0
        self._parts: Parts | None = None
        self._thread = SystemThread(self._run)

    # ---- the thread

    @property
    def is_running(self) -> bool:
        return self._thread.is_running

    def start(self) -> bool:
        """Start the thread unless it runs; return False when no thread can be started now."""
        return self._thread.is_running or (not self.is_stopping and self._thread.start())

    def stop(self) -> None:
        """Have the thread end when no line is due any more, and wait a moment for that.

        A call of the function whose batch was given up is not waited for.
        """
        self.is_stopping = True
        self.wake.signal()
        deadline = monotonic() + END_PATIENCE_S
        while self.is_running and monotonic() < deadline:
            if self.is_calling and batch_is_given_up(self.handle):
                return
            pause(0.001)

    def _run(self) -> None:
        entry = ThreadEntry()
        entry.make(self.name)
        pause_s = RESTART_PAUSE_S
        try:
            batch_thread_begins(self.handle, HUNG_S if self.hung_s is None else self.hung_s)
            while self.core.lives == self._life and self._step():
                pass
            pause_s = 0.0
        except KeyError:
            pause_s = 0.0  # the sink was removed
        except BaseException as trouble:  # noqa: BLE001  # no memory for a batch, for example
            self.on_retry(trouble)
        finally:
            if self.core.lives == self._life:  # else the function has forked, and this is the child
                try:
                    if self.at_end is not None:
                        self.at_end()
                finally:
                    batch_thread_ends(self.handle, pause_s)
            entry.remove()

    def _step(self) -> bool:
        """Sends a batch, or waits for one. Returns False when the thread is to end."""
        ticket = self.wake.ticket()
        found = batch_take(self.handle)
        if isinstance(found, tuple):
            self._send(self._call_in_turn, *found)
        elif self.is_stopping:
            return False
        else:
            batch_await(self.wake, ticket, found)
        return True

    def run_here(self) -> None:
        """Calls the function on this thread, once, if a batch is due: there is no flusher any more, and no thread."""
        found = batch_take(self.handle)
        if isinstance(found, tuple):
            trouble = self._send(self._call_here, *found)
            if trouble is not None and not isinstance(trouble, Exception):
                raise trouble  # Ctrl-C, on the main thread

    def _call_in_turn(self, lines: bytes, count: int) -> None:
        with self.turn:
            if not batch_is_given_up(self.handle):
                self.function(lines, count)

    def _call_here(self, lines: bytes, count: int) -> object:
        return self.core.call_function(self.function, lines, count)

    # ---- one batch

    def _send(
        self, call: Callable[[bytes, int], object], lines: bytes, count: int, serial: int
    ) -> BaseException | None:
        """Calls the function and settles the batch. Returns what the function has raised."""
        trouble: BaseException | None = None
        self.is_calling = True
        try:
            call(lines, count)
        except BaseException as raised:  # noqa: BLE001  # also a SystemExit: the thread must go on
            trouble = raised
        self.is_calling = False
        if self.core.lives != self._life:
            return trouble  # the function has forked, and this is the child: the batch is its parent's
        if self._parts is not None and self._parts.serial != serial:
            self._parts = None
        try:
            self._settle(trouble, lines, serial)
        except BaseException as wrong:  # noqa: BLE001  # what the function has raised says something impossible
            self._keep(wrong, serial)
        return trouble

    def _settle(self, trouble: BaseException | None, lines: bytes, serial: int) -> None:
        if trouble is None:
            self._failures = 0
            batch_settle(self.handle, serial)
        elif isinstance(trouble, BatchRefused):
            self._refuse(trouble, lines, serial)
        else:
            self._retry(trouble, lines, serial)

    def _keep(self, trouble: BaseException, serial: int, after: float | None = None) -> None:
        """Keeps the batch for another try. `after`: so many seconds the function has asked for."""
        self._failures += 1
        pause_s = self._pause_s()
        held_s = 0.0 if after is None else after * (1.0 + LATER_BY * _chance())
        if batch_retry(self.handle, serial, max(pause_s, held_s), held_s):
            self.on_retry(trouble)

    def _refuse(self, trouble: BatchRefused, lines: bytes, serial: int) -> None:
        if trouble.refused is None:
            lost = batch_refused(self.handle, serial)
            self._failures = 0
        else:
            lost = self._settle_parts(lines, serial, again=(), refused=trouble.refused)
        self._tell_lost(lost, trouble)

    def _retry(self, trouble: BaseException, lines: bytes, serial: int) -> None:
        after = None
        if isinstance(trouble, RetryBatch):
            after = trouble.after if trouble.after is None else pause_of(trouble.after)
            if trouble.again is not None:
                lost = self._settle_parts(lines, serial, again=trouble.again, refused=trouble.refused)
                self._tell_lost(lost, trouble)
        self._keep(trouble, serial, after)

    def _settle_parts(self, lines: bytes, serial: int, again: Any, refused: Any) -> int:
        """Settles a batch of which the other side has taken a part. Returns how many records are given up."""
        parts = self._parts
        if parts is None:
            ends = batch_ends(self.handle, serial)
            if ends is None:
                return 0  # it was given up meanwhile
            parts = Parts(serial, lines, ends)
        fates, rest = parts.settled(again, refused)
        lost = fates.count(FAILED)
        if not batch_settle(self.handle, serial, fates, rest.lines, lost, parts.size_of(fates, WRITTEN)):
            return 0
        self._parts = rest if rest.lines else None
        if len(fates) != fates.count(KEPT):
            self._failures = 0  # the other side works
        return lost

    def _tell_lost(self, lost: int, trouble: Exception) -> None:
        if lost:
            records = "1 record" if lost == 1 else f"{lost} records"
            error = LoglyError(f"{records} given up, which the batch function refused: {trouble}")
            error.__cause__ = trouble
            self.on_loss(error)

    def _pause_s(self) -> float:
        """Half to all of the longest pause, by chance: a thousand machines must not come back at the same moment."""
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 16))
        return longest * (0.5 + 0.5 * _chance())


def _chance() -> float:
    """A number from 0 to 1."""
    return int.from_bytes(os.urandom(2), "big") / 65_536
