"""A sink that writes for a handler of `logging`: the same bytes in the same files as the handler itself."""

from __future__ import annotations

import logging
import logging.handlers
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from logly._core import LayoutProgram
from logly.bridge.handler_sink import HandlerSink, add_handler
from logly.layout.layout_template import parse_layout
from tests.support.loggers import make_logger
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from logly import Logger

Make = Callable[[Path], logging.Handler]
Rotating = logging.handlers.RotatingFileHandler


def message_layout() -> LayoutProgram:
    return LayoutProgram(
        "text",
        parse_layout("{message}", time=""),
        newlines="keep",
        color=0,
        terminal=False,
        zone=0,
        fields=False,
        exception=False,
    )


def serve(logger: Logger, handler: logging.Handler, *, write: bool = False) -> HandlerSink:
    return add_handler(logger._controller, handler, message_layout(), set(), write=write, by_name=False)


@contextmanager
def served(handler: logging.Handler, *, write: bool = False) -> Iterator[tuple[Logger, HandlerSink]]:
    logger = make_logger(level=0)
    sink = serve(logger, handler, write=write)
    try:
        yield logger, sink
    finally:
        logger.close(5)
        end(handler)


def end(handler: logging.Handler) -> None:
    """Closes the handler, and its stream where the handler leaves that open."""
    with suppress(ValueError):  # its stream is closed
        handler.close()
    stream = getattr(handler, "stream", None)
    if stream is not None:
        with suppress(OSError):
            stream.close()


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()}


def by_logging(make: Make, folder: Path, lines: list[str]) -> dict[str, bytes]:
    folder.mkdir()
    handler = make(folder / "log")
    for line in lines:
        handler.handle(logging.LogRecord("n", 20, "p", 1, line, (), None))
    end(handler)
    return files_of(folder)


def by_logly(make: Make, folder: Path, lines: list[str], *, write: bool = False) -> dict[str, bytes]:
    folder.mkdir()
    with served(make(folder / "log"), write=write) as (logger, sink):
        for line in lines:
            logger.info(line)
        assert sink.drain(5)
        wait_until(lambda: sink.is_empty, "the sink to be idle")  # it may say no while the flusher looks around
    return files_of(folder)


def check_same(make: Make, tmp_path: Path, lines: list[str], *, write: bool = False) -> None:
    assert by_logly(make, tmp_path / "logly", lines, write=write) == by_logging(make, tmp_path / "logging", lines)


def rotating(limit: int, backups: int = 3, **settings: Any) -> Make:
    return lambda path: Rotating(path, maxBytes=limit, backupCount=backups, encoding="utf-8", **settings)


class Errors:
    """Collects what a handler's `handleError` is given."""

    def __init__(self, handler: logging.Handler) -> None:
        self.found: list[tuple[str, BaseException | None]] = []
        handler.handleError = self.take  # type: ignore[method-assign]

    def take(self, record: logging.LogRecord) -> None:
        import sys

        self.found.append((record.getMessage(), sys.exc_info()[1]))


# ---- the same bytes


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: logging.FileHandler(path, encoding="utf-8"), id="file"),
        pytest.param(lambda path: logging.FileHandler(path, "w", encoding="utf-8"), id="mode w"),
        pytest.param(lambda path: logging.FileHandler(path, encoding="utf-8", delay=True), id="delay"),
        pytest.param(lambda path: logging.handlers.WatchedFileHandler(path, encoding="utf-8"), id="watched"),
        pytest.param(lambda path: logging.StreamHandler(path.open("w", encoding="utf-8")), id="stream"),
        pytest.param(rotating(0), id="rotating, no limit"),
        pytest.param(rotating(50), id="rotating"),
        pytest.param(rotating(50, delay=True), id="rotating, delay"),
        pytest.param(rotating(50, 0), id="rotating, no backups"),
        pytest.param(
            lambda path: logging.handlers.TimedRotatingFileHandler(path, "midnight", encoding="utf-8"), id="timed"
        ),
    ],
)
def test_lines_are_the_same_bytes_in_the_same_files(make: Make, write: bool, tmp_path: Path) -> None:
    lines = [f"line {i} äöü €" + "x" * (i % 17) for i in range(60)]
    check_same(make, tmp_path, lines, write=write)


@pytest.mark.parametrize("off", [-2, -1, 0, 1, 2])
@pytest.mark.parametrize("text", ["abcdefghij", "äöüß€😀x", "two\nlines"])
@pytest.mark.parametrize("write", [False, True])
def test_rollover_is_exact_to_the_byte(off: int, text: str, write: bool, tmp_path: Path) -> None:
    limit = 3 * (len(text.encode()) + 1) + off
    check_same(rotating(limit), tmp_path, [text] * 20, write=write)


@pytest.mark.parametrize("limit", [1, 2, 5, 11, 12])
@pytest.mark.parametrize("delay", [False, True])
def test_lines_that_are_longer_than_a_file_may_be(limit: int, delay: bool, tmp_path: Path) -> None:
    check_same(rotating(limit, 30, delay=delay), tmp_path, ["long line " * 2, "", "a", "bb", "ccc", "long again"] * 3)


def test_what_is_in_the_file_before_counts(tmp_path: Path) -> None:
    def make(path: Path) -> logging.Handler:
        path.write_bytes("ä".encode() * 20)
        return rotating(60)(path)

    check_same(make, tmp_path, ["some text"] * 10)


def test_namer_and_rotator_are_the_handlers(tmp_path: Path) -> None:
    def make(path: Path) -> logging.Handler:
        handler = Rotating(path, maxBytes=40, backupCount=5)

        def rotate(source: str, to: str) -> None:
            Path(to).write_bytes(b"rotated:" + Path(source).read_bytes())
            os.remove(source)

        handler.namer = lambda name: name + ".old"
        handler.rotator = rotate
        return handler

    check_same(make, tmp_path, [f"a line of text {i}" for i in range(9)])


def test_terminator_of_more_than_one_byte(tmp_path: Path) -> None:
    layout = LayoutProgram(
        "text", parse_layout("{message}\r", time=""), newlines="keep", color=0, terminal=False, zone=0, fields=False,
        exception=False,
    )  # fmt: skip

    def make(path: Path) -> Rotating:
        handler = Rotating(path, maxBytes=36, backupCount=9, encoding="utf-8")
        handler.terminator = "\r\n"
        return handler

    lines = ["äöü four" + "." * (i % 3) for i in range(20)]
    (tmp_path / "logly").mkdir()
    logger = make_logger(level=0)
    handler = make(tmp_path / "logly" / "log")
    sink = add_handler(logger._controller, handler, layout, set(), by_name=False)
    for line in lines:
        logger.info(line)
    assert sink.drain(5)
    logger.close()
    handler.close()
    # logging opens in text mode, which leaves "\r\n" alone here.
    assert files_of(tmp_path / "logly") == by_logging(make, tmp_path / "logging", lines)


# ---- both ways in turn


@pytest.mark.parametrize("mode", ["a", "w"])
def test_both_ways_share_the_file(mode: str, tmp_path: Path) -> None:
    handler = logging.FileHandler(tmp_path / "log", mode)
    with served(handler) as (logger, sink):
        for i in range(20):
            logger.info(f"logly {i}")
            assert sink.drain(5)
            handler.handle(logging.LogRecord("n", 20, "p", 1, f"logging {i}", (), None))
            sink.follow()
    expected = "".join(f"logly {i}\nlogging {i}\n" for i in range(20))
    assert (tmp_path / "log").read_text() == expected


def test_a_rollover_by_the_handler_itself_is_followed(tmp_path: Path) -> None:
    def mixed(folder: Path, logly_too: bool) -> dict[str, bytes]:
        folder.mkdir()
        handler = Rotating(folder / "log", maxBytes=50, backupCount=20)
        with served(handler) as (logger, sink):
            for i in range(30):
                if logly_too and i % 3:
                    logger.info(f"a line {i}")
                else:
                    assert sink.drain(5)
                    handler.handle(logging.LogRecord("n", 20, "p", 1, f"a line {i}", (), None))
                    sink.follow()
        return files_of(folder)

    assert mixed(tmp_path / "logly", True) == mixed(tmp_path / "logging", False)


def test_a_renamed_file_stays_the_file(tmp_path: Path) -> None:
    handler = logging.FileHandler(tmp_path / "log")
    with served(handler) as (logger, sink):
        logger.info("one")
        assert sink.drain(5)
        os.rename(tmp_path / "log", tmp_path / "moved")
        logger.info("two")
        assert sink.drain(5)
    assert files_of(tmp_path) == {"moved": b"one\ntwo\n"}


@pytest.mark.parametrize("removed", [False, True])
def test_a_watched_file_is_opened_again(removed: bool, tmp_path: Path) -> None:
    handler = logging.handlers.WatchedFileHandler(tmp_path / "log")
    with served(handler) as (logger, sink):
        for i in range(3):
            logger.info(f"{i}")
            assert sink.drain(5)
            time.sleep(0.002)
            if removed:
                os.remove(tmp_path / "log")
            else:
                os.rename(tmp_path / "log", tmp_path / f"moved{i}")
        logger.info("end")
        assert sink.drain(5)
    moved = {} if removed else {f"moved{i}": f"{i}\n".encode() for i in range(3)}
    assert files_of(tmp_path) == {"log": b"end\n", **moved}


def test_another_stream_gets_what_is_logged_later(tmp_path: Path) -> None:
    handler = logging.StreamHandler(open(tmp_path / "one", "w"))  # noqa: SIM115
    with served(handler) as (logger, sink):
        logger.info("first")
        before = handler.setStream(open(tmp_path / "two", "w"))  # noqa: SIM115
        sink.follow()
        logger.info("second")
        assert sink.drain(5)
        assert before is not None
        before.close()
    assert files_of(tmp_path) == {"one": b"first\n", "two": b"second\n"}


def test_text_in_the_streams_own_buffer_comes_first(tmp_path: Path) -> None:
    stream = open(tmp_path / "log", "w")  # noqa: SIM115
    stream.write("printed\n")
    with served(logging.StreamHandler(stream)) as (logger, sink):
        logger.info("logged")
        assert sink.drain(5)
    assert (tmp_path / "log").read_text() == "printed\nlogged\n"


# ---- by time


def test_a_rollover_by_time(tmp_path: Path) -> None:
    handler = logging.handlers.TimedRotatingFileHandler(tmp_path / "log", "H", utc=True)
    with served(handler) as (logger, sink):
        logger.info("before")
        assert sink.drain(5)
        due = int(time.time()) - 1
        handler.rolloverAt = due
        sink.follow()
        logger.info("after")
        assert sink.drain(5)
        assert handler.rolloverAt > time.time()
        name = time.strftime(handler.suffix, time.gmtime(due - handler.interval))
    assert files_of(tmp_path) == {"log": b"after\n", f"log.{name}": b"before\n"}


# ---- locks


@pytest.mark.parametrize("limit", [0, 30])
def test_a_thread_that_holds_the_handlers_lock_may_wait(limit: int, tmp_path: Path) -> None:
    handler = Rotating(tmp_path / "log", maxBytes=limit, backupCount=50)
    with served(handler) as (logger, sink):
        handler.acquire()
        for i in range(40):
            logger.info(f"a line {i}")
        begun = time.monotonic()
        assert sink.drain(5)
        assert time.monotonic() - begun < 1
        handler.release()
    assert sum(map(len, files_of(tmp_path).values())) == sum(len(f"a line {i}\n") for i in range(40))


def test_a_lock_that_is_held_keeps_other_sinks_from_nothing(tmp_path: Path) -> None:
    held = Rotating(tmp_path / "held", maxBytes=20, backupCount=5)
    other = logging.FileHandler(tmp_path / "other")
    with served(held) as (logger, sink):
        beside = serve(logger, other)
        leave, has_lock = threading.Event(), threading.Event()

        def hold() -> None:
            with held.lock:  # type: ignore[union-attr]
                has_lock.set()
                leave.wait(5)

        thread = threading.Thread(target=hold)
        thread.start()
        assert has_lock.wait(5)
        for i in range(5):
            logger.info(f"a line {i}")
        assert beside.drain(2)
        assert not sink.drain(0.05)
        leave.set()
        thread.join()
        assert sink.drain(5)
    other.close()
    assert len((tmp_path / "other").read_text().splitlines()) == 5
    assert (tmp_path / "held").read_text() + (tmp_path / "held.1").read_text() != ""


def test_threads_that_use_the_handler_meanwhile(tmp_path: Path) -> None:
    handler = Rotating(tmp_path / "log", maxBytes=400, backupCount=500)
    with served(handler) as (logger, sink):

        def work(number: int) -> None:
            for i in range(40):
                logger.info(f"{number} {i}")
                if i % 4 == 0:
                    handler.acquire()
                    try:
                        assert sink.drain(5)
                    finally:
                        handler.release()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        assert sink.drain(5)
    lines = b"".join(files_of(tmp_path).values()).decode().splitlines()
    assert sorted(lines) == sorted(f"{number} {i}" for number in range(4) for i in range(40))


# ---- trouble


def test_a_full_disk_is_told_to_the_handler() -> None:
    handler = logging.StreamHandler(open("/dev/full", "w"))  # noqa: SIM115
    errors = Errors(handler)
    with served(handler) as (logger, sink):
        logger.info("lost")
        assert not sink.drain(0.05)
        wait_until(lambda: errors.found)
        assert isinstance(errors.found[0][1], OSError)
        assert "ENOSPC" in repr(errors.found[0]) or errors.found[0][1].errno == 28  # type: ignore[union-attr]


def test_a_pipe_without_a_reader_is_told_to_the_handler() -> None:
    reader, writer = os.pipe()
    handler = logging.StreamHandler(open(writer, "w"))  # noqa: SIM115
    errors = Errors(handler)
    with served(handler) as (logger, sink):
        os.close(reader)
        logger.info("lost")
        wait_until(lambda: errors.found)
        assert errors.found[0][0] == "logly: 1 records for this handler were lost"
        assert isinstance(errors.found[0][1], BrokenPipeError)
        assert sink.drain(5)


def test_a_stream_that_was_closed_is_told_to_the_handler(tmp_path: Path) -> None:
    handler = logging.FileHandler(tmp_path / "log")
    errors = Errors(handler)
    with served(handler) as (logger, sink):
        logger.info("one")
        assert sink.drain(5)
        handler.stream.close()
        os.close(sink.files.fd)  # the next line needs a copy of a stream that is closed
        logger.info("two")
        assert sink.drain(5)
        assert isinstance(errors.found[0][1], ValueError)
        assert errors.found[0][0] == "logly: 1 records for this handler were lost"
    assert (tmp_path / "log").read_text() == "one\n"


def test_a_rollover_that_fails_loses_no_line(tmp_path: Path) -> None:
    handler = Rotating(tmp_path / "log", maxBytes=20, backupCount=2)

    def fail(_source: str, _to: str) -> None:
        raise PermissionError(13, "no")

    handler.rotator = fail
    errors = Errors(handler)
    with served(handler) as (logger, sink):
        for i in range(6):
            logger.info(f"a line {i}")
        assert sink.drain(5)
        assert isinstance(errors.found[0][1], PermissionError)
    assert (tmp_path / "log").read_text() == "".join(f"a line {i}\n" for i in range(6))


def test_a_descriptor_that_other_code_has_closed_is_copied_again(tmp_path: Path) -> None:
    handler = logging.FileHandler(tmp_path / "log")
    with served(handler) as (logger, sink):
        logger.info("one")
        assert sink.drain(5)
        os.close(sink.files.fd)
        logger.info("two")
        assert sink.drain(5)
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


# ---- in its engine


def test_it_is_no_sink_of_the_users(tmp_path: Path) -> None:
    logger = make_logger(level=0)
    handler = logging.FileHandler(tmp_path / "log")
    sink = serve(logger, handler)
    assert logger.list_sinks() == []
    assert not logger.remove_sink(sink.id)
    assert logger.remove_all_sinks() == 0
    logger.info("one")
    assert logger._controller.remove(sink.id)
    assert (tmp_path / "log").read_text() == "one\n"
    assert not logger._controller.remove(sink.id)
    logger.close()
    handler.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_none_of_the_parents_lines(tmp_path: Path) -> None:
    handler = Rotating(tmp_path / "log", maxBytes=1000, backupCount=2)
    with served(handler) as (logger, sink):
        logger.info("parent")
        child = os.fork()
        if child == 0:
            logger.info("child")
            os._exit(0 if sink.drain(5) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert sink.drain(5)
    assert sorted((tmp_path / "log").read_text().splitlines()) == ["child", "parent"]
