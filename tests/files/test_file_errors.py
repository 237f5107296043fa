"""What the system refuses while a log file is opened, synced or rotated: who is told what, and what goes on."""

import errno
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from logly import SinkConfig, SinkError
from logly._core import ZONE_UTC
from logly.control import file_sink
from logly.files import opening, rotation
from logly.files.logfile import LogFile
from logly.files.rotated import RotatedName
from tests.support.log_files import all_lines, lines_of, rotated_files
from tests.support.loggers import make_logger
from tests.support.programs import start_program
from tests.support.waiting import wait_until

if sys.platform == "win32":
    pytest.skip("files of POSIX", allow_module_level=True)


def fails(number: int) -> Any:
    """A function that fails like a system call."""

    def fail(*arguments: Any, **named: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


# ---- opened


def test_a_socket_is_refused_and_the_way_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's name must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("app.log")
        with (
            make_logger() as logger,
            pytest.raises(SinkError, match=r"a socket: connect to it and pass SinkConfig\(fd="),
        ):
            logger.add_sink(SinkConfig(path="app.log"))


def test_a_fifo_that_cannot_be_opened_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "app.log")
    monkeypatch.setattr(opening, "open_descriptor", fails(errno.EMFILE))
    with pytest.raises(SinkError, match="too many open files in this process"):
        opening.open_append(tmp_path / "app.log")


@pytest.mark.parametrize("how", ["unreadable", "another file by now"])
def test_a_file_whose_end_cannot_be_read_gets_no_line_break_before_the_first_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The sink cannot know whether the file ends in the middle of a line, and must not make an empty one."""
    path = tmp_path / "app.log"
    path.write_text("whole\n")
    if how == "unreadable":
        replaced = fails(errno.EACCES)
    else:
        (tmp_path / "other").write_text("longer and torn")

        def replaced(name: str, flags: int) -> Any:
            return real(str(tmp_path / "other"), flags)

    real = opening.open_descriptor
    with make_logger() as logger:
        with monkeypatch.context() as patch:
            patch.setattr(opening, "open_descriptor", replaced)
            logger.add_sink(SinkConfig(path=path, format="{message}"))
        logger.info("next")
    assert lines_of(path) == ["whole", "next"]


def test_a_rotating_file_whose_lock_file_cannot_be_made_is_refused_and_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd") else []
    monkeypatch.setattr(rotation, "open_descriptor", fails(errno.EROFS))
    with make_logger() as logger:
        with pytest.raises(SinkError, match="read-only") as caught:
            logger.add_sink(SinkConfig(path=tmp_path / "app.log", size_limit=1000))
        assert caught.value.filename == str(tmp_path / ".app.log.lock")
        assert logger.list_sinks() == []
    if before:
        assert len(os.listdir("/proc/self/fd")) == len(before)


# ---- synced


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP], ids=errno.errorcode.get)
def test_what_cannot_be_synced_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(opening.os, "fsync", fails(number))
    opening.sync_name(str(tmp_path / "app.log"))


def test_a_folder_that_cannot_be_synced_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening.os, "fsync", fails(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        opening.sync_name(str(tmp_path / "app.log"))


def test_a_file_that_cannot_be_synced_is_told_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Exception] = []
    monkeypatch.setattr(file_sink, "sync_name", fails(errno.EIO))
    with make_logger(on_error=told.append, spool=tmp_path / "app.spool", spool_fsync=1000) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
        logger.info("line")
        assert logger.flush(30)
        wait_until(lambda: bool(told))
    assert {error.errno for error in told if isinstance(error, OSError)} == {errno.EIO}
    assert lines_of(tmp_path / "app.log") == ["line"]


# ---- rotated


def test_a_full_file_that_is_found_at_the_start_is_rotated_unless_another_process_was_first(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text("x" * 200 + "\n")
    config = SinkConfig(path=path, size_limit=100).resolved()
    files = [LogFile(config, zone=ZONE_UTC, on_error=print) for _ in range(2)]
    assert [file.stat().st_size for file in rotated_files(path)] == [201]
    assert path.stat().st_size == 0
    assert {os.fstat(file.fd).st_ino for file in files} == {path.stat().st_ino}
    for file in files:
        file.close()


def test_records_after_close_are_rotated_too(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    logger = make_logger()
    logger.add_sink(SinkConfig(path=path, format="{message}", size_limit=50))
    logger.close()
    for i in range(20):
        logger.info("{:09}", i)
    logger.close()
    assert [file.stat().st_size for file in rotated_files(path)] == [50] * 3
    assert all_lines(path) == [f"{i:09}" for i in range(20)]


HOLDER = """
import fcntl, sys
with open(sys.argv[1]) as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("number", "words"),
    [(None, "another process holds the lock of the log file"), (errno.EIO, os.strerror(errno.EIO))],
    ids=["held", "failed"],
)
def test_without_the_lock_no_file_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None, words: str
) -> None:
    import subprocess

    path = tmp_path / "app.log"
    path.write_text("line\n")
    name = RotatedName(str(path), zone=ZONE_UTC)
    monkeypatch.setattr(rotation, "_LOCK_PATIENCE_S", 0.01)
    with rotation.open_lock(str(path)) as lock, path.open() as file:
        holder = None
        if number is None:
            holder = start_program(HOLDER, rotation.lock_path(str(path)), says="held", stdin=subprocess.PIPE)
        else:
            monkeypatch.setattr(rotation.fcntl, "flock", fails(number))
        with pytest.raises(SinkError, match=words) as caught:
            rotation.rotate(name, str(path), file.fileno(), end_ns=0, lock_fd=lock.fd)
        if holder is not None:
            holder.communicate(timeout=60)
    assert caught.value.filename == rotation.lock_path(str(path))
    assert name.files() == []


def test_a_file_system_without_locks_rotates_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "app.log"
    path.write_text("line\n")
    name = RotatedName(str(path), zone=ZONE_UTC)
    with rotation.open_lock(str(path)) as lock, path.open() as file:
        monkeypatch.setattr(rotation.fcntl, "flock", fails(errno.ENOLCK))
        done = rotation.rotate(name, str(path), file.fileno(), end_ns=0, lock_fd=lock.fd)
    assert done.is_rotated
    assert [one.path for one in name.files()] == [done.path]
