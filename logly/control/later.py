"""What dead processes left, on its way to batch sinks: on a thread of its own, because the other side may be down."""

from __future__ import annotations

from logly.system.unpatched import EventCount, SystemThread, ThreadEntry, monotonic, pause

from .recovery import send_dead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .controller import Controller

__all__ = ["Later"]

FIRST_PAUSE_S = 1.0
"""Between two tries. It doubles with each further one."""
LONGEST_PAUSE_S = 60.0
LOOK_S = 0.001
END_PATIENCE_S = 5.0


class Later:
    """Has batch sinks send what is in the spools of dead processes; tries until all is sent, or until `stop`.

    Args:
        controller: of the logger.
        base: the configured path of the spool.
        sinks: the logger's batch sinks.
    """

    def __init__(self, controller: Controller, base: str, sinks: list[Any]) -> None:
        self.controller = controller
        self.base = base
        self.sinks = sinks
        self.is_done = False
        self._is_stopping = False
        self._is_wanted = False
        """Somebody waits for a try."""
        self._tries = 0
        """So many have ended."""
        self._wake = EventCount()
        self._life = controller.core.lives
        self._thread = SystemThread(self._run)
        self._thread.start()  # where no thread can be started, the spools stay for the next start of the program

    def _run(self) -> None:
        entry = ThreadEntry()
        entry.make(f"logly-later-{self.controller.name}")
        try:
            pause_s = FIRST_PAUSE_S
            while not self._is_stopping and not self.is_done:
                self._is_wanted = False
                self._try()
                self._tries += 1
                self._sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        finally:
            entry.remove()

    def _try(self) -> None:
        try:
            self.is_done = send_dead(self.controller, self.base, self.sinks, lambda: self._is_stopping)
        except Exception as trouble:  # noqa: BLE001  # the next try may work
            self.controller.report(trouble)

    def _sleep(self, pause_s: float) -> None:
        deadline = monotonic() + pause_s
        while not self._is_stopping and not self.is_done and not self._is_wanted:
            ticket = self._wake.ticket()
            left = deadline - monotonic()
            if left <= 0:
                return
            self._wake.wait(ticket, left)

    def await_try(self, deadline: float | None) -> bool:
        """Waits for the try that is under way, or for a new one. Returns False when something is left."""
        tries = self._tries
        self._is_wanted = True
        self._wake.signal()
        while self._thread.is_running and not self.is_done and self._tries == tries:
            if deadline is not None and monotonic() >= deadline:
                break
            pause(LOOK_S)
        return self.is_done

    def stop(self) -> None:
        """Has the thread end, and waits a moment for that. What is not sent stays in the spools."""
        self._is_stopping = True
        self._wake.signal()
        deadline = monotonic() + END_PATIENCE_S
        while self._thread.is_running and monotonic() < deadline:
            pause(LOOK_S)
