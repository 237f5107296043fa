"""How a spool is made beside others, and when and into what a start delivers what was left."""

from __future__ import annotations

import errno
import os
import sys
import threading
from pathlib import Path

import pytest

from logly import Logger, LoggerConfig, SinkConfig, SpoolError
from tests.support.spooling import dies, spools

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no spools on Windows")


def test_sinks_that_are_added_to_a_running_logger_all_get_what_was_left(tmp_path: Path) -> None:
    dies(tmp_path, "logger.info('left')")
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        first = logger.add_sink(SinkConfig(path=tmp_path / "other.log", format="{message}"))
        logger.info("the flusher runs")
        assert logger.flush()
        assert logger.remove_sink(first)
        logger.configure(LoggerConfig(auto_sink=False, spool=tmp_path / "app.spool"))
        for name in ("one.log", "two.log", "three.log"):
            logger.add_sink(SinkConfig(path=tmp_path / name, format="{message}"))
        logger.info("new")
        assert logger.flush()
    for name in ("one.log", "two.log", "three.log"):
        assert sorted((tmp_path / name).read_text().splitlines()) == ["left", "new"]
    assert spools(tmp_path) == []


def test_what_was_left_goes_into_the_file_of_this_start_when_its_name_has_the_time_in_it(tmp_path: Path) -> None:
    dies(tmp_path, "for i in range(3): logger.info('left {}', i)")
    with Logger(LoggerConfig(auto_sink=False, spool=tmp_path / "app.spool")) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "a {{b}} {time:SSSSSSSSS}.log", format="{message}"))
        logger.info("new")
        assert logger.flush()
    [path] = tmp_path.glob("a {b} *.log")
    assert path.read_text() == "left 0\nleft 1\nleft 2\nnew\n"


def test_nothing_is_delivered_while_all_sinks_are_switched_off(tmp_path: Path) -> None:
    dies(tmp_path, "logger.info('left')")
    with Logger(LoggerConfig(auto_sink=False, spool=tmp_path / "app.spool")) as logger:
        sink = logger.add_sink(SinkConfig(path=tmp_path / "mine.log", format="{message}"))
        logger.disable_sink(sink)
        assert logger.flush(60)
        assert len(spools(tmp_path)) == 2
        logger.enable_sink(sink)
        logger.info("new")
        assert logger.flush(60)
    assert (tmp_path / "mine.log").read_text() == "left\nnew\n"
    assert spools(tmp_path) == []


def test_a_spool_that_is_not_wanted_any_more_costs_later_calls_nothing(tmp_path: Path) -> None:
    with Logger(LoggerConfig(auto_sink=False, spool=tmp_path / "app.spool")) as logger:
        logger.configure(LoggerConfig(auto_sink=False))
        logger.add_sink(SinkConfig(path=tmp_path / "mine.log", format="{message}"))
        logger.info("one")
        assert logger.flush(60)
        assert not logger._controller._wanted_post()["start"]


def test_a_relative_path_is_the_same_file_for_a_recovery_after_chdir(tmp_path: Path, monkeypatch) -> None:
    dies(tmp_path, "logger.info('left')")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with Logger(LoggerConfig(auto_sink=False, spool="app.spool")) as logger:
        logger.add_sink(SinkConfig(path="mine.log", format="{message}"))
        monkeypatch.chdir(tmp_path / "elsewhere")
        logger.info("new")
        assert logger.flush()
    assert (tmp_path / "mine.log").read_text() == "left\nnew\n"
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_flush_with_a_timeout_does_not_wait_longer_for_a_recovery_and_the_next_one_goes_on(tmp_path: Path) -> None:
    """A full pipe takes nothing: the flush comes back in time; once it is read, the same process has the rest."""
    dies(tmp_path, "for i in range(2000): logger.info('left {}', i)")
    read, write = os.pipe()
    os.set_blocking(write, False)
    filled = 0
    while True:
        try:
            filled += os.write(write, b"-" * 4095 + b"\n")
        except BlockingIOError:
            break
    logger = Logger(LoggerConfig(auto_sink=False, spool=tmp_path / "app.spool", stall_timeout=60))
    logger.add_sink(SinkConfig(fd=write, format="{message}"))
    assert not logger.flush(0.2)
    assert len(spools(tmp_path)) == 2
    chunks: list[bytes] = []

    def take() -> None:
        while chunk := os.read(read, 1 << 16):
            chunks.append(chunk)

    reader = threading.Thread(target=take)
    reader.start()
    logger.info("new")
    assert logger.flush(60)
    assert logger.close(60)
    os.close(write)
    reader.join(60)
    os.close(read)
    lines = b"".join(chunks)[filled:].decode().splitlines()
    assert lines == [f"left {i}" for i in range(2000)] + ["new"]
    assert spools(tmp_path) == []


# ---- its name


def test_a_spool_that_somebody_with_the_same_number_makes_at_this_moment_is_left_alone(tmp_path: Path) -> None:
    """Two containers with one volume both have a process 7."""
    import fcntl

    other = tmp_path / f"app.spool.{os.getpid()}.new"
    fd = os.open(other, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.write(fd, b"half made")
        with Logger(LoggerConfig(auto_sink=False, spool=tmp_path / "app.spool")) as logger:
            assert spools(tmp_path) == [f"app.spool.{os.getpid()}", other.name]
            logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
            logger.info("line")
        assert spools(tmp_path) == [other.name]
        assert other.read_bytes() == b"half made"
        assert (tmp_path / "app.log").read_text() == "line\n"
    finally:
        os.close(fd)


def test_a_spool_that_is_taken_for_a_dead_ones_before_it_is_locked_is_made_again(tmp_path: Path, monkeypatch) -> None:
    """Whoever recovers locks the new file first, and removes it."""
    from logly.spool import spools as spool

    real, taken = spool.fcntl.flock, []

    def flock(fd: int, how: int) -> None:
        name = f"{tmp_path}/app.spool.{os.getpid()}.new"
        if not taken:
            taken.append(os.unlink(name))
        real(fd, how)

    monkeypatch.setattr(spool.fcntl, "flock", flock)
    logger = Logger(LoggerConfig(auto_sink=False, spool=tmp_path / "app.spool"))
    assert taken
    assert spools(tmp_path) == [f"app.spool.{os.getpid()}"]
    logger.close()
    assert spools(tmp_path) == []


def test_a_name_that_appears_at_the_last_moment_is_not_renamed_over(tmp_path: Path, monkeypatch) -> None:
    from logly.spool import spools as spool

    real = os.link

    def link(source: str, target: str) -> None:
        if not os.path.exists(target) and target.endswith(f".{os.getpid()}"):
            Path(target).write_text("another's")
        real(source, target)

    monkeypatch.setattr(spool.os, "link", link)
    with Logger(LoggerConfig(auto_sink=False, spool=tmp_path / "app.spool")):
        assert spools(tmp_path) == [f"app.spool.{os.getpid()}", f"app.spool.{os.getpid()}.1"]
    assert (tmp_path / f"app.spool.{os.getpid()}").read_text() == "another's"


def test_a_file_system_without_hard_links_has_spools_too(tmp_path: Path, monkeypatch) -> None:
    from logly.spool import spools as spool

    def link(source: str, target: str) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(spool.os, "link", link)
    with Logger(LoggerConfig(auto_sink=False, spool=tmp_path / "app.spool")):
        assert spools(tmp_path) == [f"app.spool.{os.getpid()}"]


def test_nothing_is_left_where_the_file_system_knows_no_locks(tmp_path: Path, monkeypatch) -> None:
    from logly.spool import spools as spool

    def flock(fd: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(spool.fcntl, "flock", flock)
    with pytest.raises(SpoolError, match="No locks"):
        Logger(LoggerConfig(auto_sink=False, spool=tmp_path / "app.spool"))
    assert spools(tmp_path) == []
