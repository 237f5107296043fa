"""What one does with a logger beside logging: its sinks, its settings and levels, flush and close."""

from __future__ import annotations

from ._core import Producer
from .config.lazy_dataclass import NOT_GIVEN, NotGiven
from .config.schema import SinkConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike
    from types import TracebackType
    from typing import Any, Self

    from .caller.guards import AtLevel
    from .config.schema import LoggerConfig, TextStream
    from .levels import Level
    from .record import Record
    from .stats import SinkStats, Stats

__all__ = ["Controls"]


class Controls(Producer):
    """The part of `Logger` that log calls do not need."""

    __slots__ = ()

    # ---- sinks

    def add_sink(
        self,
        config: SinkConfig | str | PathLike[str] | TextStream | Callable[[Record], object] | NotGiven = NOT_GIVEN,
        **settings: Any,
    ) -> int:
        """Add a sink, which gets what is logged from now on.

        Args:
            config: the path of a file, a text stream, a function that is called with each `Record`, or a `SinkConfig`.
                Left out: `settings` say it, and otherwise it is the console.
            settings: settings by name, as in `SinkConfig`. They go before what a `SinkConfig` says.

        Returns:
            The sink's id, for `remove_sink` and the like.

        Raises:
            ConfigError: there is no such setting, or one is wrong; names the field, the value and what is valid.
            SinkError: the file cannot be opened (an OSError, with errno).

        Examples:
            >>> sink = logger.add_sink("logs/app.log", rotation="daily", level="debug")
        """
        if settings or not isinstance(config, SinkConfig):
            from .config.changes import sink_settings

            config = sink_settings(config, settings)
        return self._controller.add_sink(config)

    def remove_sink(self, sink_id: int) -> bool:
        """Write out what a sink holds and close it. Returns False when there is no such sink."""
        return self._controller.remove_sink(sink_id)

    def remove_all_sinks(self) -> int:
        """Remove every sink; return how many there were."""
        return sum(self._controller.remove_sink(sink_id) for sink_id in self._controller.user_sinks())

    def list_sinks(self) -> list[int]:
        """The ids of the sinks that were added, oldest first."""
        return self._controller.user_sinks()

    def enable_sink(self, sink_id: int) -> bool:
        """Switch a sink on again. Returns False when there is no such sink."""
        return self._controller.set_sink_enabled(sink_id, True)

    def disable_sink(self, sink_id: int) -> bool:
        """Switch a sink off; what was logged before is still written. Returns False when there is no such sink."""
        return self._controller.set_sink_enabled(sink_id, False)

    def set_sink_level(self, sink_id: int, level: Level | int | str | Mapping[str, Any] | None) -> bool:
        """Change what a sink asks for. It holds for what is logged from now on; nothing is lost or written twice.

        Args:
            sink_id: what `add_sink` returned.
            level: as `SinkConfig.level`: a level, or levels by name; None: what the logger's level lets through.

        Returns:
            False when there is no such sink.

        Raises:
            ConfigError: the level cannot be read.
        """
        return self._controller.layers.set_sink(sink_id, level)

    def sink_stats(self, sink_id: int) -> SinkStats:
        """Counts of one sink.

        Raises:
            KeyError: there is no such sink.
        """
        return self._controller.sinks[sink_id].handle.stats()

    def sink_path(self, sink_id: int) -> str | None:
        """The path of the file that a sink writes now, in full. None: the sink has no file of its own.

        Raises:
            KeyError: there is no such sink.
        """
        return self._controller.sinks[sink_id].path

    # ---- settings and life

    def configure(self, config: LoggerConfig | None = None, **changes: Any) -> None:
        """Apply settings at run time. No record is lost, not even while the ring is replaced.

        Args:
            config: replaces all settings. None: those in force stay, except `changes`.
            changes: settings by name, as in `LoggerConfig`. With a `config` they go before what it says.

        Raises:
            ConfigError: there is no such setting, one is wrong, or none is given; nothing has changed then.

        Examples:
            >>> logger.configure(level="debug")
        """
        self._controller.configure(config, changes)

    def set_level(self, level: Level | int | str | Mapping[str, Any] | None) -> None:
        """Change the threshold while the program runs. What was logged before is written as before.

        On a logger that `named` or `get_logger` made, the level is that of this name and of everything below it.

        Args:
            level: as `LoggerConfig.level`: a level, or levels by name such as ``"info,shop.db=debug"``. It replaces all
                that was set before. None: as if none had been set.

        Raises:
            ConfigError: it cannot be read; nothing has changed then.

        Examples:
            >>> logger.set_level("info,shop.db=debug,urllib3=off")
            >>> logger.named("shop").set_level("trace")
        """
        self._controller.layers.set(level, self._child_name)

    def at_level(self, spec: Level | int | str | Mapping[str, Any], name: str | None = None) -> AtLevel:
        """Other levels inside the ``with``, for all threads. This is also a decorator.

        They are laid over the levels in force and taken away again, so two that overlap in two threads leave nothing
        behind. Where two of them name the same, the one that was entered last counts.

        Args:
            spec: a level, or levels by name.
            name: the logger or module that `spec`, which is one level then, holds for, with everything below it. None:
                everything; on a logger that `named` or `get_logger` made: its own name.

        Raises:
            ConfigError: it cannot be read.

        Examples:
            >>> with logger.at_level("debug", name="shop.db"):
            ...     logger.debug("only now")
        """
        from .caller.guards import AtLevel

        controller = self._controller
        layers = controller.layers
        return AtLevel(controller.core, layers, layers.overlay(spec, self._child_name if name is None else name))

    def explain(self, level: Level | int | str, name: str | None = None, module: str | None = None) -> str:
        """Say in words what would become of a record now, and why.

        Args:
            level: the record's level.
            name: the name of its logger; None: this logger's own.
            module: the module of its call site, which decides where the logger has no name, and for `filter_module`.

        Raises:
            ConfigError: there is no such level.

        Examples:
            >>> print(logger.explain("debug", module="shop.db"))
        """
        from .control.explain import explain

        return explain(self._controller, level, self._given_name if name is None else name, module)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was logged before this call has been handed to the operating system by every sink.

        In a greenlet of gevent or eventlet, other greenlets run if this takes longer than two milliseconds.

        Args:
            timeout: seconds; None: no limit. Set one if a sink's function or a file system may hang.

        Returns:
            True when nothing waits any more. True does not mean written: look at `stats().failed`. False if records
            still wait: because `timeout` passed first, or because a sink fails or blocks and has taken nothing for
            `stall_timeout`. Inside a sink's function, a filter or `on_error` it does not wait, and returns False while
            anything is left.
        """
        return self._controller.flush(timeout, gives_way=True)

    def close(self, timeout: float | None = None) -> bool:
        """Flush, stop the flusher, close the files. Idempotent.

        Logging afterwards still works: each call then writes its own record before it returns. Records that a failing
        sink has not written count as failed, and `on_error` is called.

        Args:
            timeout: seconds to wait at most, and for so long batch sinks that fail are tried; None: no limit, and
                they have until they have failed for `stall_timeout`.

        Returns:
            Whether no record waits any more: False when `timeout` passed first, or inside a sink's function. See
            `stats().failed` for losses.
        """
        return self._controller.close(timeout, gives_way=True)

    def dump_recorder(self, reason: str | None = None) -> int:
        """Writes what the flight recorder has kept until now, and empties it; see docs/recorder.md.

        It waits until the sinks have written the records, as `flush` does.

        Args:
            reason: shown in a line before the records, some 300 characters of it. None: there is no such line.

        Returns:
            How many records they were. 0: there is no flight recorder, or it was empty, or no sink takes part
            (``SinkConfig.recorder``).
        """
        from .control.recording import dump_recorder

        return dump_recorder(self._controller, reason)

    def reopen(self) -> None:
        """Open every file by its name again, as after logrotate."""
        self._controller.reopen()

    def filenos(self) -> list[int]:
        """The descriptors that the logger has open: log files, their locks, the spool.

        Code that closes all descriptors, as a daemoniser does, should leave these open (``files_preserve`` of
        `python-daemon`). A log file that was closed nevertheless is opened again by its name, and `on_error` is told. A
        descriptor that a sink got as ``fd`` is the program's own, and not in the list.
        """
        return self._controller.filenos()

    def enable(self, name: None = None) -> None:
        """Switch all output on again.

        Args:
            name: leave it out; ``named("noisy").set_level(None)`` is for one name.

        Raises:
            ConfigError: a name was given.
        """
        if name is not None:
            from .config.hints import switch_hint

            raise switch_hint(name, on=True)
        self._controller.switch(True)

    def disable(self, name: None = None) -> None:
        """Switch all output off: calls return at the level gate.

        Args:
            name: leave it out; ``named("noisy").set_level("off")`` is for one name.

        Raises:
            ConfigError: a name was given.
        """
        if name is not None:
            from .config.hints import switch_hint

            raise switch_hint(name, on=False)
        self._controller.switch(False)

    def stats(self) -> Stats:
        """The logger's counts, which always add up: ``emitted == written + dropped + failed + pending``."""
        return self._controller.core.stats()

    def add_level(self, name: str, number: int, color: str | None = None) -> None:
        """Add a level for `log(name, ...)`.

        Args:
            name: matched in any case.
            number: its rank among the others (INFO is 20, WARNING 30).
            color: such as ``"bold yellow"`` or ``"31;1"``; None: no colour.

        Raises:
            ConfigError: a built-in name, a number out of range, an unknown colour.
        """
        self._controller.add_level(name, number, color)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _given_name(self) -> str | None:
        """The name that the logger goes by; None: none."""
        name = self._name
        return name.text if name is not None else None

    @property
    def _child_name(self) -> str | None:
        """The same, where `named` or `get_logger` gave it."""
        name = self._name
        return name.text if name is not None and name is not self._controller.core.own_name else None
