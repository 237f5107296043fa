"""A spool whose file is gone while its process lives: noticed, told, and made anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from logly import Logger, LoggerConfig, SinkConfig, SpoolError
from tests.support.spooling import dies, revive, spools
from tests.support.waiting import wait_until

PROGRAM = """
import threading
logger.close()
told, heard = [], threading.Event()
def on_error(error):
    told.append(error)
    heard.set()
logger = make(on_error=on_error)
logger.add_sink(SinkConfig(path=folder / "app.log", format="{message}", buffer_size=1 << 26))
logger.info("before {}", 0)
spool = next(folder.glob("app.spool.*"))
inode = spool.stat().st_ino
GONE
assert heard.wait(60)
assert len(told) == 1, told
assert str(spool) in str(told[0]), told
def is_new(path):
    try:
        with path.open("rb") as file:
            return file.read(8) == b"LOGLYSPL" and os.fstat(file.fileno()).st_ino != inode
    except FileNotFoundError:
        return False  # the old one: all of it has been written, and the flusher has removed it since it was listed
(new,) = filter(is_new, folder.glob("app.spool.*"))
assert str(new) in str(told[0]), told
logger.flush()  # and with that the old one is given up
logger.info("after {}", 1)
logger.info("a new template {}", 2)
logger.info("x" * 700_000)
assert new.exists()
assert not logs_of_a_stranger()
"""

WAYS = {
    "removed": "os.unlink(spool)",
    "renamed": "os.rename(spool, folder / 'kept')",
    "replaced": "(folder / 'theirs').write_bytes(b'of another program'); os.rename(folder / 'theirs', spool)",
    "replaced-by-a-link": (
        "os.link(spool, folder / 'kept'); os.symlink(folder / 'kept', folder / 'link'); "
        "os.rename(folder / 'link', spool)"
    ),
}


def program(gone: str, stranger: str = "False") -> str:
    return f"logs_of_a_stranger = lambda: {stranger}\n{PROGRAM.replace('GONE', gone)}"


@pytest.mark.parametrize("way", WAYS)
def test_a_spool_that_is_gone_is_made_anew_and_a_kill_loses_nothing(tmp_path: Path, way: str) -> None:
    dies(tmp_path, program(WAYS[way]), "os.kill(os.getpid(), signal.SIGKILL)")
    assert (tmp_path / "app.log").read_text() == "before 0\n"
    told = revive(tmp_path, layout="{message}")
    assert len(told) == way.startswith("replaced")  # the file or link at its place, which is no spool
    lines = ["before 0", "after 1", "a new template 2", "x" * 700_000]
    assert (tmp_path / "app.log").read_text().splitlines() == lines
    assert len(spools(tmp_path)) == way.startswith("replaced")


def test_a_folder_that_is_gone_is_made_anew(tmp_path: Path) -> None:
    told: list[Exception] = []
    path = tmp_path / "run" / "app.spool"
    with Logger(LoggerConfig(spool=path, on_error=told.append)) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
        logger.info("before")
        (spool,) = path.parent.iterdir()
        spool.unlink()
        path.parent.rmdir()
        wait_until(lambda: told, "a report")
        assert spool.exists()
        logger.info("after")
    (error,) = told
    assert isinstance(error, SpoolError)
    assert "gone" in str(error)
    assert (tmp_path / "app.log").read_text() == "before\nafter\n"
    assert list(path.parent.iterdir()) == []


def test_where_it_cannot_be_made_anew_that_is_told_once_and_tried_again(tmp_path: Path) -> None:
    told: list[Exception] = []
    path = tmp_path / "run" / "app.spool"
    with Logger(LoggerConfig(spool=path, on_error=told.append)) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
        logger.info("before")
        path.parent.rename(tmp_path / "elsewhere")
        path.parent.write_text("in the way")
        wait_until(lambda: told, "a report")
        assert "cannot be made anew" in str(told[0])
        logger.info("meanwhile")
        path.parent.unlink()
        wait_until(lambda: path.parent.exists(), "the spool")
        wait_until(lambda: len(told) > 1, "another report")
        assert "has been made anew" in str(told[1])
    assert len(told) == 2
    assert (tmp_path / "app.log").read_text() == "before\nmeanwhile\n"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
@pytest.mark.parametrize("large", [False, True])
def test_a_descriptor_that_was_closed_gets_no_byte_of_the_spool(tmp_path: Path, large: bool) -> None:
    """A program that becomes a daemon closes every descriptor, and its own files get the numbers."""
    gone = """
stranger = os.open(folder / "stranger", os.O_RDWR | os.O_CREAT)
for number in map(int, os.listdir("/proc/self/fd")):
    try:
        found = os.fstat(number).st_ino
    except OSError:
        continue  # of the listing
    if found == inode:
        os.dup2(stranger, number)
logger.info("at once {}", 3)
"""
    if large:
        gone += 'logger.info("y" * 700_000)\n'
    source = program(gone, '(folder / "stranger").stat().st_size')
    if large:
        # Told first: this record is in memory only.
        source = source.replace("assert heard.wait(60)", "while len(told) < 2: assert heard.wait(60); heard.clear()")
        source = source.replace("len(told) == 1", "'in memory only' in str(told[0])").replace("told[0])", "told)")
    dies(tmp_path, source, "os.kill(os.getpid(), signal.SIGKILL)")
    assert (tmp_path / "stranger").read_bytes() == b""
    assert revive(tmp_path, layout="{message}") == []
    lines = ["before 0", "at once 3", *["y" * 700_000] * large, "after 1", "a new template 2", "x" * 700_000]
    assert (tmp_path / "app.log").read_text().splitlines() == lines
    assert spools(tmp_path) == []


def test_it_is_noticed_by_callers_where_there_is_no_flusher(tmp_path: Path) -> None:
    told: list[Exception] = []
    with Logger(LoggerConfig(spool=tmp_path / "app.spool", auto_sink=False, on_error=told.append)) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}", async_write=False))
        logger.info("line")
        (tmp_path / spools(tmp_path)[0]).unlink()

        def log() -> list[Exception]:
            logger.info("line")
            return told

        wait_until(log, "a report")
        assert len(spools(tmp_path)) == 1
        count = logger.stats().written
    assert len(told) == 1
    assert (tmp_path / "app.log").read_text() == "line\n" * count
    assert spools(tmp_path) == []


def test_a_synced_spool_is_made_anew_synced(tmp_path: Path) -> None:
    told: list[Exception] = []
    config = LoggerConfig(spool=tmp_path / "app.spool", spool_fsync=1, on_error=told.append)
    with Logger(config) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
        for i in range(3):
            logger.info("line {}", i)
            os.unlink(tmp_path / spools(tmp_path)[0])
            wait_until(lambda seen=i: len(told) > seen, "a report")
            with open(tmp_path / spools(tmp_path)[0], "rb") as file:
                header = file.read(8192)
            assert header.startswith(b"LOGLYSPL")
    assert len(told) == 3
    assert (tmp_path / "app.log").read_text() == "line 0\nline 1\nline 2\n"
    assert spools(tmp_path) == []
