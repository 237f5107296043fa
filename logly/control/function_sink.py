"""A sink that calls the user's function with each record, as a `Record`."""

from __future__ import annotations

from logly._core import COLOR_NONE, ZONE_UTC, LayoutProgram

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
        layout = LayoutProgram(
            "json",
            [],
            newlines="escape",
            color=COLOR_NONE,
            terminal=False,
            zone=ZONE_UTC,
            fields=False,
            exception=False,
        )
        return layout, set()

    def _take(self, record: Record, raw: bytes) -> bytes | None:
        function = self.config.function
        assert function is not None
        wanted = self._wanted(record)
        if wanted is None:
            return None
        self._calling = "function"
        self.core.call_function(function, wanted)
        return raw
