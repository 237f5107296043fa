"""The same steps under plain `logging` and under `install`: what is logged, printed, returned and raised must be equal.

A test writes a play: a function that takes a `Stage`. `compare` has it played twice. Where the play says which way a
call must go, the counts of `routes` are asked, so that no test passes by the way of `logging` alone.
"""

from __future__ import annotations

import io
import logging
import re
import sys
import threading
from typing import TYPE_CHECKING, Any

import logly.bridge.install as bridge
from logly import Logger, LoggerConfig, SinkConfig, StdlibHandler
from logly._core import has_gil
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from logly import Record

NAME = "enemy"
LAYOUT = "%(levelno)d %(levelname)s %(name)s %(pathname)s %(funcName)s:%(lineno)d %(thread)d %(process)d|%(message)s"
OWN_LAYOUT = "{level} {module} {path} {function}:{lineno} {thread} {process}|{message}|{fields}\n{exception}"
KINDS = ("stdlib", "record", "file")
"""What the records reach: a `StdlibHandler` before a file, or before a function that gets whole records (for which
every call takes the careful way: rendered at best), or a `FileHandler` of `logging`."""
IS_KNOWN = (3, 11) <= sys.version_info < (3, 15) and not hasattr(logging.Logger, "_is_disabled")
SEES_CHANGES = has_gil() and IS_KNOWN
"""Whether changes are seen in this Python, so that calls can be fast."""


class Stage:
    """A logger with one handler, and what is heard of it.

    Attributes:
        top: the logger that has the handler; it does not propagate.
        log: a logger two below it.
        handler: the handler.
        heard: what the play has said, in order.
    """

    def __init__(self, kind: str, folder: Path, *, is_installed: bool, **options: Any) -> None:
        self.kind = kind
        self.is_installed = is_installed
        self.heard: list[Any] = []
        self._saved = _state()
        self._stderr, sys.stderr = sys.stderr, io.StringIO()
        self.records: list[Record] = []
        self.logger = Logger(LoggerConfig(auto_sink=False, level=0, async_flush_interval=5))
        self.path = folder / f"{'install' if is_installed else 'plain'}.log"
        if kind == "stdlib":
            self.logger.add_sink(SinkConfig(path=self.path, format=OWN_LAYOUT))
        else:
            self.logger.add_sink(SinkConfig(function=self.records.append))
        if is_installed:
            bridge.install(**options)
        self.top = logging.getLogger(NAME)
        self.top.propagate = False
        self.top.setLevel(logging.DEBUG)
        self.log = logging.getLogger(f"{NAME}.shop.cart")
        self.handler = self.make_handler()
        self.top.addHandler(self.handler)
        self.is_served = kind != "file" or (is_installed and self._serves_files())

    def make_handler(self) -> logging.Handler:
        """Another handler for the same records and lines."""
        if self.kind != "file":
            return StdlibHandler(self.logger)
        handler = logging.FileHandler(self.path, encoding="utf-8")
        handler.setFormatter(logging.Formatter(LAYOUT))
        return handler

    def _serves_files(self) -> bool:
        probe = logging.getLogger(f"{NAME}.probe")
        handler = logging.FileHandler(self.path.with_name("probe.log"))
        handler.setFormatter(logging.Formatter(LAYOUT))
        probe.addHandler(handler)
        probe.propagate = False
        for _ in range(4):
            probe.info("probe")
        probe.removeHandler(handler)
        handler.close()
        return any(one.name == probe.name and one.fast for one in bridge.routes())

    # ---- what a play does

    def say(self, what: Any) -> None:
        self.heard.append(what)

    def attempt(self, call: Callable[[], Any]) -> None:
        """Says what the call returns, or what it raises."""
        try:
            self.say(call())
        except Exception as error:  # noqa: BLE001
            self.say((type(error), str(error)))

    def counts(self) -> tuple[int, int, int]:
        """(fast, rendered, original) calls so far."""
        if not self.is_installed:
            return (0, 0, 0)
        found = bridge.routes()
        return (sum(one.fast for one in found), sum(one.rendered for one in found), sum(one.original for one in found))

    def fast(self, call: Callable[[], Any]) -> None:
        """Three calls, of which the last one must be fast: its template and its site are known."""
        call()
        call()
        self._counted(call, 0)

    def rendered(self, call: Callable[[], Any]) -> None:
        """Three calls, of which the last one must not make a LogRecord; it may be fast."""
        call()
        call()
        self._counted(call, 1)

    def original(self, call: Callable[[], Any]) -> None:
        """Three calls, all of which must go the way of `logging`, or make no record."""
        before = self.counts()[:2]
        for _ in range(3):
            call()
        assert self.counts()[:2] == before, f"not by logging: {self.why_not()}"

    def why_not(self) -> dict[str, str | None]:
        return {one.name: one.why_not for one in bridge.routes() if str(one.name).startswith(NAME)}

    def _counted(self, call: Callable[[], Any], which: int) -> None:
        before = self.counts()
        call()
        after = self.counts()
        if self.is_installed and self.is_served and SEES_CHANGES:
            rise = tuple(now - then for now, then in zip(after, before, strict=True))
            if which == 1:
                rise = (0, rise[0] + rise[1], rise[2])
            which = 1 if self.kind == "record" else which
            expected = tuple(int(i == which) for i in range(3))
            assert rise == expected, f"(fast, rendered, original) {rise}: {self.why_not()}"

    def close(self) -> None:
        sys.stderr, self._stderr = self._stderr, sys.stderr
        if self.is_installed:
            bridge.uninstall()
        _restore(self._saved)
        self.handler.close()
        assert self.logger.flush(PATIENCE_S)
        self.logger.close()
        self.stderr = _without_addresses(self._stderr.getvalue())
        self.lines = self.path.read_bytes() if self.path.exists() else b""
        self.shown = [_shown(record) for record in self.records]


def _without_addresses(text: str) -> str:
    return re.sub(r"0x[0-9a-fA-F]+", "0x", text)


def _shown(record: Record) -> tuple[Any, ...]:
    error = record.exception
    return (
        record.level_number,
        record.level,
        record.message,
        record.module,
        record.function,
        record.lineno,
        record.path,
        dict(record.fields),
        None if error is None else (error.type, error.message, error.stack),
        None if record.stack is None else len(record.stack) > 0,
        record.thread == threading.main_thread().ident,
        record.thread_name,
        record.process,
    )


WATCHED = (logging.Logger, logging.RootLogger, logging.LogRecord, logging.Handler, logging.Filterer)


def _state() -> Any:
    classes = [(kind, dict(vars(kind))) for kind in (*WATCHED, logging.StreamHandler, StdlibHandler)]
    root = logging.root
    return (classes, dict(vars(logging)), dict(vars(root)), list(root.handlers), list(root.filters))


def _restore(saved: Any) -> None:
    classes, module, of_root, handlers, filters = saved
    for kind, attributes in classes:
        for name in vars(kind).keys() - attributes.keys():
            delattr(kind, name)
        for name, value in attributes.items():
            if vars(kind).get(name) is not value:
                setattr(kind, name, value)
    for name, value in module.items():
        if vars(logging).get(name) is not value:
            setattr(logging, name, value)
    root = logging.root
    for name in vars(root).keys() - of_root.keys():
        delattr(root, name)
    for name, value in of_root.items():
        if vars(root).get(name) is not value:
            setattr(root, name, value)
    root.handlers[:] = handlers
    root.filters[:] = filters
    logging.disable(0)
    logging.root.manager.loggerClass = None
    logging.root.manager.emittedNoHandlerWarning = False
    known = logging.root.manager.loggerDict
    for name in [name for name in known if name.split(".")[0] == NAME]:
        del known[name]


def compare(play: Callable[[Stage], Any], kind: str, folder: Path, **options: Any) -> Stage:
    """Has the play played under both; returns the stage of the second."""
    stages = []
    for is_installed in (False, True):
        stage = Stage(kind, folder, is_installed=is_installed, **options)
        try:
            play(stage)
        finally:
            stage.close()
        stages.append(stage)
    plain, installed = stages
    check_equal("heard", installed.heard, plain.heard)
    check_equal("records", installed.shown, plain.shown)
    check_equal("lines", installed.lines.splitlines(), plain.lines.splitlines())
    check_equal("stderr", installed.stderr.splitlines(), plain.stderr.splitlines())
    assert installed.lines == plain.lines
    assert installed.stderr == plain.stderr
    return installed


def check_equal(what: str, found: list[Any], expected: list[Any]) -> None:
    """Like `assert found == expected`, with the first difference as the message."""
    for place, (one, other) in enumerate(zip(found, expected, strict=False)):
        assert one == other, f"{what} {place}: with install\n{one!r}\nwithout\n{other!r}"
    more = found[len(expected) :] or expected[len(found) :]
    assert len(found) == len(expected), f"{what}: {len(found)} with install, {len(expected)} without: {more[0]!r}"
