"""A sink that hands its lines to the user's function in batches, on a thread of its own; see `logly.outlets.outlet`."""

from __future__ import annotations

from logly._core import COLOR_NONE, batch_work_done, batches_by_caller
from logly.config.lazy_dataclass import replace
from logly.config.schema import SinkConfig
from logly.errors import LoglyError, RetryBatch, counted
from logly.outlets.outlet import Outlet
from logly.system.unpatched import EventCount

from .sinks import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from logly._core import LayoutProgram, PythonWork
    from logly.config.schema import LoggerConfig

    from .controller import Controller

__all__ = ["BatchSink", "hold"]

INTERVAL_MS = 1000.0
"""How long a line waits for others, where the settings do not say."""
START_PAUSE_S = 0.05
"""How long a thread that has been started has to say that it runs."""
WHOLE_SPOOL_BYTES = 1 << 40
RETRY_START_S = 1.0
"""When a thread that could not be started is tried again."""


class BatchSink(Sink):
    """A sink whose settings have a `batch`. See `Sink`."""

    target = "batch"
    needs_flusher = True
    exit_patience_s = 5.0

    def _prepare(self) -> None:
        self._wake = EventCount()
        self._make_outlet()

    def _make_outlet(self) -> None:
        function = self.config.batch
        assert function is not None
        name = f"logly-batch-{self.id}"
        self.outlet = Outlet(self.core, self.handle, function, self._wake, name, self._told_retry, self.on_error)

    def _told_retry(self, trouble: BaseException) -> None:
        self.report(trouble)  # type: ignore[arg-type]  # a SystemExit is told, too

    def for_recovery(self) -> SinkConfig:
        # Of a spool nothing is given up: it bounds what waits.
        config: SinkConfig = replace(self.config, batch_backlog=WHOLE_SPOOL_BYTES)
        return config

    def interval_ms(self, logger_config: LoggerConfig) -> float:
        interval = self.config.flush_interval
        return INTERVAL_MS if interval is None else interval

    def _make_layout(self, logger: LoggerConfig) -> tuple[LayoutProgram | None, set[str]]:
        config = self.config
        check = getattr(config.batch, "check_sink", None)
        if check is not None and config.format is None and config.json is None:
            # Now it is known what its lines are. (Pretty JSON has several lines for each record.)
            check(replace(config, json=logger.json and not logger.pretty_json))
        return super()._make_layout(logger)

    def needs(self, shown: set[str] | None = None) -> tuple[bool, bool, bool]:
        site, _, thread_name = super().needs(shown)
        return site, True, thread_name  # what the thread of such a sink logs is told by its number

    def _coloring(self, logger: LoggerConfig) -> int:
        return COLOR_NONE if self.config.color is None else super()._coloring(logger)

    @property
    def buffer_bytes(self) -> int:
        return int(self.config.batch_bytes)

    @property
    def backlog_bytes(self) -> int:
        return int(self.config.batch_backlog)

    def _destination(self) -> dict[str, Any]:
        return {**super()._destination(), "wake": self._wake}

    def await_written(self, patience_s: float, removal_s: float) -> None:
        super().await_written(max(patience_s, self.exit_patience_s), removal_s)

    # ---- the flusher's work for it

    def do_work(self, work: PythonWork) -> None:
        if work.writes:
            if not batches_by_caller(self.core):
                has_started = self.outlet.start()
                batch_work_done(self.handle, START_PAUSE_S if has_started else RETRY_START_S, not has_started)
                if not has_started and not self.outlet.is_stopping:
                    self.report(RuntimeError("no thread can be started for the batch function: what is logged waits"))
            else:
                # Where the thread still runs, it is in a call that has begun before the logger was closed.
                try:
                    if not self.outlet.is_running:
                        self.outlet.run_here()
                finally:
                    batch_work_done(self.handle)
        super().do_work(work)

    def _told_loss(self, lost: int, failed: int) -> str:
        return (
            f"{counted(lost)} given up: more than batch_backlog = {self.backlog_bytes} bytes were waiting for the "
            "batch function"
        )

    # ---- its end

    def after_removal(self, lost: int) -> None:
        self.outlet.stop()
        if lost:
            self.on_error(LoglyError(f"{counted(lost)} could not be sent before the sink was removed"))

    def release_file(self) -> None:
        self.outlet.stop()

    def outlive_modules(self) -> None:
        self.outlet.stop()

    def after_fork_in_child(self) -> None:
        self._make_outlet()


class HeldSink(BatchSink):
    """Takes nothing of what a dead process left, so that its spool stays. Nobody waits for it."""

    is_own = True

    def _make_outlet(self) -> None:
        super()._make_outlet()
        self.outlet.hung_s = 0.0

    def _told_retry(self, trouble: BaseException) -> None:
        pass


def hold(controller: Controller, on_error: Callable[[Exception], None], sink_id: int) -> HeldSink:
    """Makes a sink of `controller` that holds the spool which it delivers."""
    config = SinkConfig(batch=_later, format="{message}", batch_backlog=WHOLE_SPOOL_BYTES, flush_interval=0).resolved()
    return HeldSink(controller.core, sink_id, config, controller.config, on_error)


def _later(_lines: bytes, _count: int) -> None:
    raise RetryBatch(after=86_400)
