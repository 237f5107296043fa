"""logly's plugin for pytest: the fixture `logly_records`; `caplog` and pytest's live log see logly's records.

This module stands beside the package, because pytest imports it at each start: it imports logly for tests that need it.
"""

from __future__ import annotations

import io
import logging
import sys
from _thread import get_ident
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from logly import Records
    from logly._caplog import Feed


@pytest.fixture
def logly_records() -> Iterator[Records]:
    """The records that all logly loggers make during the test, at all levels: see `logly.capture`."""
    from logly import capture

    with capture() as records:
        yield records


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    plugin = config.pluginmanager.get_plugin("logging-plugin")
    if plugin is not None:  # else -p no:logging
        config.pluginmanager.register(Feeding(config, plugin), "logly-feeding")


_waiting: list[Feeding] = []
"""Those that begin with the first logger."""


def logger_is_made(_controller: object) -> None:
    """logly calls this when the first logger of the process is made."""
    from logly.control import process

    process.watchers.remove(logger_is_made)
    while _waiting:
        _waiting.pop().begin()


class Feeding:
    """Gives logly's records to the handlers of pytest's logging plugin, while a test runs that has to do with them.

    As long as the process has no logly logger, logly is not imported.
    """

    def __init__(self, config: pytest.Config, plugin: object) -> None:
        self._feed: Feed | None = None
        self._plugin = plugin
        self._thread = get_ident()
        is_live = getattr(plugin, "_log_cli_enabled", bool)
        self._has_own_log = bool(is_live() or config.getoption("log_file", None) or config.getini("log_file"))
        for name in ("caplog_handler", "report_handler"):
            handler = getattr(plugin, name, None)
            if handler is not None and hasattr(handler, "records") and hasattr(handler, "reset"):
                handler.__class__ = _waiting_class(type(handler), self.complete)
                handler.reset()

    # trylast: inside of pytest's own wrapper, which puts its handlers on the root logger and takes them off.

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        if self._has_own_log or "caplog" in getattr(item, "fixturenames", ()):
            self.begin()
        yield
        self.complete()

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Iterator[None]:
        yield
        self.complete()

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_teardown(self) -> Iterator[None]:
        yield
        feed, self._feed = self._feed, None
        if self in _waiting:
            _waiting.remove(self)
        if feed is not None:
            feed.end()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        if fixturedef.argname == "caplog":  # a test may also ask for it by `getfixturevalue`
            self.begin()
        yield

    def begin(self) -> None:
        """Has logly's loggers give their records to pytest's handlers, until the test's teardown has ended."""
        if self._feed is not None:
            return
        if "logly.control.process" in sys.modules:
            from logly._caplog import Feed

            self._feed = Feed.begun(self._thread, self._quiet, self._loud)
        elif self not in _waiting:
            _waiting.append(self)

    def _quiet(self) -> list[logging.Handler]:
        return self._present("caplog_handler", "report_handler")

    def _loud(self) -> list[logging.Handler]:
        return self._present("log_cli_handler", "log_file_handler")

    def _present(self, *names: str) -> list[logging.Handler]:
        """Those that are on the root logger just now. (Another pytest may run inside a test, with its own.)"""
        own = [getattr(self._plugin, name, None) for name in names]
        return [handler for handler in logging.getLogger().handlers if any(handler is one for one in own)]

    def complete(self) -> None:
        """Waits until pytest's handlers have what was logged before."""
        if self._feed is not None:
            self._feed.complete()


# ---- what pytest's handlers keep their records in


def _waiting_class(kind: type, complete: Callable[[], None]) -> type:
    """A subclass of pytest's handler, whose records and text are complete when they are read."""

    class WaitingHandler(kind):  # type: ignore[misc]
        records: list[Any]

        def reset(self) -> None:
            super().reset()
            records = _WaitingList(self.records)
            records.complete = complete
            self.records = records
            self._renew_stream()

        def clear(self) -> None:
            complete()
            super().clear()
            self._renew_stream()

        def setLevel(self, level: Any) -> None:
            complete()
            super().setLevel(level)

        def addFilter(self, filter: Any) -> None:  # noqa: A002
            complete()
            super().addFilter(filter)

        def removeFilter(self, filter: Any) -> None:  # noqa: A002
            complete()
            super().removeFilter(filter)

        def _renew_stream(self) -> None:
            stream = _WaitingStream()
            stream.complete = complete
            self.stream = stream

    return WaitingHandler


class _WaitingStream(io.StringIO):
    complete: Callable[[], None]

    def getvalue(self) -> str:
        self.complete()
        return super().getvalue()


def _reading(name: str) -> Callable[..., Any]:
    read = getattr(list, name)

    def method(self: _WaitingList, *arguments: Any, **options: Any) -> Any:
        self.complete()
        return read(self, *arguments, **options)

    return method


class _WaitingList(list[Any]):
    """As `logly.Records`, without an import of logly."""

    complete: Callable[[], None]
    __hash__ = None

    def __radd__(self, other: list[Any]) -> list[Any]:
        return other + list(self)


for _name in (
    *("len", "iter", "reversed", "getitem", "setitem", "delitem", "contains", "eq", "ne", "lt", "le", "gt", "ge"),
    *("add", "iadd", "mul", "rmul", "imul", "repr"),
):
    setattr(_WaitingList, f"__{_name}__", _reading(f"__{_name}__"))
for _name in ("clear", "copy", "count", "index", "insert", "pop", "remove", "reverse", "sort"):
    setattr(_WaitingList, _name, _reading(_name))
