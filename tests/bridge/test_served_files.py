"""Handlers that write files of their own, played with and without `install`: the same bytes in the same files."""

from __future__ import annotations

import gc
import gzip
import io
import itertools
import logging
import logging.handlers
import os
import random
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest

import logly
import logly.bridge.install
from logly import ConfigError
from logly.system.unpatched import pause
from tests.bridge.oracle import SEES_CHANGES
from tests.support.loggers import make_logger
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Make = Callable[[Path], logging.Handler]

KINDS: dict[str, Make] = {
    "file": lambda path: logging.FileHandler(path, encoding="utf-8"),
    "mode-w": lambda path: logging.FileHandler(path, "w", encoding="utf-8"),
    "delayed": lambda path: logging.FileHandler(path, encoding="utf-8", delay=True),
    "watched": lambda path: logging.handlers.WatchedFileHandler(path, encoding="utf-8"),
    "rotating": lambda path: logging.handlers.RotatingFileHandler(path, maxBytes=400, backupCount=30, encoding="utf-8"),
    "rotating-delayed": lambda path: logging.handlers.RotatingFileHandler(
        path, maxBytes=300, backupCount=30, encoding="utf-8", delay=True
    ),
    "rotating-without-backups": lambda path: logging.handlers.RotatingFileHandler(
        path, maxBytes=300, backupCount=0, encoding="utf-8"
    ),
    "timed": lambda path: logging.handlers.TimedRotatingFileHandler(path, "D", backupCount=2, encoding="utf-8"),
}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    logly.uninstall()


names = itertools.count()


def new_logger(handler: logging.Handler) -> logging.Logger:
    logger = logging.getLogger(f"served.{next(names)}")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    return logger


def play(  # noqa: C901  # a list of small steps
    make: Make, folder: Path, seed: int, *, is_installed: bool, write: str = "auto"
) -> tuple[dict[str, bytes], int]:
    """A random program; returns the files that it left, and how many calls were fast or rendered."""
    draw = random.Random(seed)
    folder.mkdir()
    if is_installed:
        logly.install(write=write)
    handler: Any = make(folder / "log")
    logger = new_logger(handler)

    def original() -> None:
        logger.warning("by logging %d", draw.randrange(100), stack_info=False, stacklevel=2)

    def roll_over() -> None:
        if hasattr(handler, "rolloverAt"):
            handler.flush()
            handler.rolloverAt = 1
        elif hasattr(handler, "doRollover"):
            handler.doRollover()

    def rename() -> None:
        handler.flush()
        if os.path.exists(folder / "log"):
            os.rename(folder / "log", folder / f"moved{draw.randrange(3)}")

    def another_limit() -> None:
        if hasattr(handler, "maxBytes"):
            handler.maxBytes = draw.choice([0, 200, 500])

    def another_format() -> None:
        handler.setFormatter(logging.Formatter(draw.choice(["%(message)s", "%(levelno)d|%(message)s"])))

    def close() -> None:
        if handler.mode != "w":
            handler.close()

    steps: list[Callable[[], Any]] = [
        lambda: logger.info("fast %d %s", draw.randrange(1000), "x" * draw.randrange(60)),
        lambda: logger.info("umlauts %s", "\u00e4\u4e16" * draw.randrange(20)),
        lambda: logger.error("rendered %s", [1, draw.randrange(9)]),
        lambda: logger.debug("text"),
        original,
        lambda: handler.handle(logging.LogRecord("n", 20, "p", 1, f"handled {draw.randrange(9)}", (), None)),
    ]
    changes = [roll_over, rename, another_limit, another_format, close, handler.flush, lambda: handler.setLevel(20)]
    for _ in range(150):
        for _ in range(draw.randrange(1, 8)):
            draw.choice(steps[:4] if draw.random() < 0.9 else steps)()
        if draw.random() < 0.15:
            draw.choice(changes)()
    easy = 0
    if is_installed:
        easy = sum(one.fast + one.rendered for one in logly.routes() if one.name == logger.name)
        logly.uninstall()
    handler.close()
    return {one.name: one.read_bytes() for one in sorted(folder.iterdir())}, easy


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("write", ["auto", "call"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_random_program_leaves_the_same_files(kind: str, write: str, seed: int, tmp_path: Path) -> None:
    plain, _ = play(KINDS[kind], tmp_path / "plain", seed, is_installed=False)
    installed, easy = play(KINDS[kind], tmp_path / "installed", seed, is_installed=True, write=write)
    assert list(installed) == list(plain)
    for name, content in plain.items():
        assert installed[name].splitlines() == content.splitlines(), name
    assert installed == plain
    assert easy > 100 or not SEES_CHANGES


def why_not(handler: logging.Handler) -> str | None:
    logger = new_logger(handler)
    for _ in range(3):
        logger.info("probe")
    (found,) = (one.why_not for one in logly.routes() if one.name == logger.name)
    logger.handlers.clear()
    return found


class Tee(io.TextIOBase):
    """Writes to a file, and to a second place: its descriptor is only a part of it."""

    def __init__(self, file: io.TextIOWrapper) -> None:
        self.file = file

    def write(self, text: str, /) -> int:
        return self.file.write(text)

    def fileno(self) -> int:
        return self.file.fileno()


@pytest.mark.skipif(not SEES_CHANGES, reason="calls are not fast here")
def test_what_is_not_served_and_why(tmp_path: Path) -> None:
    class Own(logging.FileHandler):
        pass

    logly.install()
    served = logging.FileHandler(tmp_path / "a")
    assert why_not(served) is None
    served.close()
    own = Own(tmp_path / "a")
    assert "Own is not served" in (why_not(own) or "")
    own.close()
    shadowed = logging.FileHandler(tmp_path / "a")
    shadowed.emit = print  # type: ignore[method-assign,assignment]
    assert why_not(shadowed) == "handler FileHandler: it has its own emit"
    shadowed.close()
    with open(tmp_path / "b", "w") as file, gzip.open(tmp_path / "b.gz", "wt") as packed:
        assert "Tee" in (why_not(logging.StreamHandler(Tee(file))) or "")
        assert "GzipFile" in (why_not(logging.StreamHandler(packed)) or "")
        assert "not one that the interpreter opened" in (why_not(logging.StreamHandler(file)) or "")
    assert "StringIO" in (why_not(logging.StreamHandler(io.StringIO())) or "")


def test_methods_that_were_patched_before_install_are_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(logging.StreamHandler, "emit", lambda self, record: heard.append(record.getMessage()))
    logly.install()
    handler = logging.FileHandler(tmp_path / "log")
    logger = new_logger(handler)
    for i in range(3):
        logger.info("heard %d", i)
    logly.uninstall()
    handler.close()
    assert heard == ["heard 0", "heard 1", "heard 2"]


def test_a_spool_that_is_set_later_ends_serving(tmp_path: Path) -> None:
    target = make_logger(level=0)
    logly.install(target)
    logging.root.removeHandler(logging.root.handlers[-1])
    handler = logging.FileHandler(tmp_path / "log")
    logger = new_logger(handler)
    for i in range(3):
        logger.info("before %d", i)
    target.configure(spool=tmp_path / "spool")
    for i in range(3):
        logger.info("after %d", i)
    (found,) = (one for one in logly.routes() if one.name == logger.name)
    if SEES_CHANGES:
        assert found.why_not == "handler FileHandler: a spool is set"
    logly.uninstall()
    target.close()
    handler.close()
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines == [f"INFO {when} {i}" for when in ("before", "after") for i in range(3)]


@pytest.mark.skipif(sys.platform == "win32", reason="the descriptor is replaced")
def test_another_file_under_a_handlers_descriptor_gets_the_later_lines(tmp_path: Path) -> None:
    logly.install()
    handler = logging.FileHandler(tmp_path / "log")
    logger = new_logger(handler)
    for i in range(3):
        logger.info("before %d", i)
    handler.flush()
    other = os.open(tmp_path / "other", os.O_CREAT | os.O_WRONLY)
    os.dup2(other, handler.stream.fileno())
    os.close(other)
    for i in range(3):
        logger.info("after %d", i)
    logly.uninstall()
    handler.close()
    assert (tmp_path / "log").read_text().count("before") == 3
    assert (tmp_path / "other").read_text().count("after") == 3


def test_a_closed_stream_is_told_as_logging_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[BaseException | None] = []
    monkeypatch.setattr(logging.Handler, "handleError", lambda self, record: told.append(sys.exc_info()[1]))
    logly.install()
    handler = logging.FileHandler(tmp_path / "log")
    logger = new_logger(handler)
    for i in range(3):
        logger.info("before %d", i)
    handler.flush()
    handler.stream.close()
    logger.info("lost")
    wait_until(lambda: told)
    assert isinstance(told[0], ValueError)
    handler.stream = None
    logly.uninstall()
    handler.close()
    assert (tmp_path / "log").read_text().count("before") == 3
    assert "lost" not in (tmp_path / "log").read_text()


def test_a_handler_that_is_dropped_is_not_kept_alive(tmp_path: Path) -> None:
    logly.install()
    handler: Any = logging.FileHandler(tmp_path / "log")
    logger = new_logger(handler)
    for i in range(20):
        logger.info("line %d", i)
    logger.handlers.clear()
    stream = handler.stream
    gone: list[int] = []
    weakref.finalize(handler, gone.append, 1)
    del handler
    gc.collect()
    assert gone == [1]
    logly.uninstall()
    stream.close()
    assert (tmp_path / "log").read_text().count("line") == 20


def test_a_user_neither_sees_nor_removes_the_sinks_of_handlers(tmp_path: Path) -> None:
    target = make_logger(level=0)
    logly.install(target)
    logging.root.removeHandler(logging.root.handlers[-1])
    handler = logging.FileHandler(tmp_path / "log")
    logger = new_logger(handler)
    for i in range(3):
        logger.info("line %d", i)
    own = target._controller.user_sinks()
    assert not [number for number in range(20) if number not in own and target.remove_sink(number)]
    with pytest.raises((ConfigError, TypeError)):
        target.configure(spool=object())  # type: ignore[arg-type]
    for i in range(3):
        logger.info("line %d", i)
    logly.uninstall()
    target.close()
    handler.close()
    assert (tmp_path / "log").read_text().count("line") == 6


@pytest.mark.parametrize("is_installed", [False, True])
def test_handlers_that_share_a_file_take_turns_in_it(is_installed: bool, tmp_path: Path) -> None:
    if is_installed:
        logly.install(write="soon")
    above, below = (logging.FileHandler(tmp_path / "log") for _ in range(2))
    top = new_logger(above)
    below.setFormatter(logging.Formatter("below %(message)s"))
    logger = logging.getLogger(f"{top.name}.below")
    logger.addHandler(below)
    other = logging.getLogger(f"{top.name}.other")
    for i in range(20):
        logger.info("both %d", i)
        other.info("above %d", i)
    logly.uninstall()
    above.close()
    below.close()
    expected = [line for i in range(20) for line in (f"below both {i}", f"INFO both {i}", f"INFO above {i}")]
    assert (tmp_path / "log").read_text().splitlines() == expected


def test_the_first_call_of_a_logger_is_not_left_to_logging(tmp_path: Path) -> None:
    logly.install()
    handler = logging.FileHandler(tmp_path / "log")
    logger = new_logger(handler)
    logger.info("only %d", 1)
    (route,) = (one for one in logly.routes() if one.name == logger.name)
    logly.uninstall()
    handler.close()
    assert (tmp_path / "log").read_text() == "INFO only 1\n"
    if SEES_CHANGES:
        assert (route.is_fast, route.fast + route.rendered, route.original) == (True, 1, 0)


def test_threads_that_begin_at_once_get_one_sink(tmp_path: Path) -> None:
    """Formatters that change all the time have the handler served anew all the time."""
    logly.install()
    handler = logging.FileHandler(tmp_path / "log")
    logger = new_logger(handler)
    loggers = [logging.getLogger(f"{logger.name}.{number}") for number in range(4)]
    done = threading.Event()

    def change() -> None:
        formats = itertools.cycle(["%(message)s", "%(message)s ", "%(levelname)s %(message)s"])
        while not done.is_set():
            handler.setFormatter(logging.Formatter(next(formats)))
            pause(0.001)

    def log(one: logging.Logger) -> None:
        for number in range(3000):
            one.info("line %d of %s", number, one.name)

    changer = threading.Thread(target=change)
    changer.start()
    threads = [threading.Thread(target=log, args=(one,)) for one in loggers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    changer.join()
    sinks = len(logly.bridge.install._installed.controller.sinks)  # type: ignore[union-attr]
    logly.uninstall()
    handler.close()
    lines = [line.removeprefix("INFO ").rstrip() for line in (tmp_path / "log").read_text().splitlines()]
    assert sinks <= 1
    for one in loggers:
        own = [line for line in lines if line.endswith(one.name)]
        assert own == [f"line {number} of {one.name}" for number in range(3000)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_of_a_thread_that_finds_out_a_route_has_routes(tmp_path: Path) -> None:
    logly.install()
    handler = logging.FileHandler(tmp_path / "log")
    logger = new_logger(handler)
    serving = logly.bridge.install._installed.serving  # type: ignore[union-attr]
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with serving._turn:
            inside.set()
            leave.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        logger.info("in the child")
        logger.info("in the child %d", 1)
        fast = sum(one.fast + one.rendered for one in logly.routes() if one.name == logger.name)
        os._exit(0 if fast == 2 or not SEES_CHANGES else 1)
    leave.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    logly.uninstall()
    handler.close()
    assert (tmp_path / "log").read_text().splitlines() == ["INFO in the child", "INFO in the child 1"]
