"""A sink that calls the user's function with each record, as a `Record`."""

from __future__ import annotations

from logly._core import COLOR_NONE, LayoutProgram

from .sinks import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logly.config.schema import LoggerConfig
    from logly.record import Record

__all__ = ["FunctionSink"]


class FunctionSink(Sink):
    """A sink whose settings have a `function`; it renders no lines. See `Sink`."""

    target = "function"
    needs_flusher = True

    @property
    def gets_records(self) -> bool:
        return True

    def _make_layout(self, logger: LoggerConfig) -> tuple[LayoutProgram | None, set[str]]:
        if self.config.dedup is None:
            return None, set()
        # The times in a record that counts repeats are those of JSON lines.
        return LayoutProgram(
            "json", [], newlines="escape", color=COLOR_NONE, terminal=False, utc=True, fields=False, exception=False
        ), set()

    def _take(self, record: Record) -> bool:
        function, keep = self.config.function, self.config.filter
        assert function is not None
        if keep is not None and not self.core.call_function(keep, record):
            return False
        self.core.call_function(function, record)
        return True
