"""A spool's descriptors in a program that closes all of them, as a daemoniser does, and whose files get the numbers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.programs import run_program

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")

START = """
import atexit, fcntl, gc, os, sys
strangers = {}
atexit.register(lambda: is_untouched(strangers))  # after logly's own work at the exit, because it is registered before
from pathlib import Path
from logly import Logger, LoggerConfig, SinkConfig

folder = Path(sys.argv[1])
told = []
SETTINGS = {}

def start():
    logger = Logger(LoggerConfig(spool=folder / "app.spool", auto_sink=False, on_error=told.append, **SETTINGS))
    logger.add_sink(SinkConfig(path=folder / "app.log", format="{message}"))
    return logger

def close_everything():
    os.closerange(3, 256)

def take_numbers(name="stranger"):
    # The lowest numbers that are free, which were logly's. Each gets a file with a pattern and the program's locks.
    taken = {}
    for i in range(24):
        fd = os.open(folder / f"{name}.{i}", os.O_RDWR | os.O_CREAT)
        pattern = f"{name} {i} ".encode() * 10_000
        os.write(fd, pattern)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        taken[fd] = (os.fstat(fd), pattern)
    return taken

def is_untouched(taken):
    for fd, (about, pattern) in taken.items():
        now = os.fstat(fd)
        assert (now.st_dev, now.st_ino) == (about.st_dev, about.st_ino), fd
        assert os.pread(fd, len(pattern) + 1, 0) == pattern, fd
    # Both kinds of lock are still there, as another process sees them.
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        for fd in taken:
            other = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
            for lock in (fcntl.flock, fcntl.lockf):
                try:
                    lock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.write(writer, f"{lock.__name__} {fd}; ".encode())
                except OSError:
                    pass
            os.close(other)
        os._exit(0)
    os.close(writer)
    lost = b""
    while more := os.read(reader, 1000):
        lost += more
    os.close(reader)
    assert os.waitpid(pid, 0)[1] == 0
    assert lost == b"", lost

def log(logger, first, count):
    for i in range(first, first + count):
        logger.info("line {}", i)
        if i % 10 == 9:
            assert logger.flush(10)
"""
LINES = [f"line {i}" for i in range(200)]

DAEMON = """
close_everything()
strangers.update(take_numbers())
log(logger, 100, 100)
is_untouched(strangers)
"""
CLOSE = """
assert logger.close(10)
is_untouched(strangers)
del logger
gc.collect()
is_untouched(strangers)
"""
SETTINGS = {"": "", "synced": "SETTINGS['spool_fsync'] = 1\n"}


def lines_of(folder: Path) -> list[str]:
    return (folder / "app.log").read_text().splitlines()


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=["plain", "synced"])
@pytest.mark.parametrize("end", [CLOSE, ""], ids=["closed", "left to the exit"])
def test_files_that_have_taken_the_numbers_are_left_alone(settings: str, end: str, tmp_path: Path) -> None:
    run_program(f"{START}{settings}logger = start()\nlog(logger, 0, 100)\n{DAEMON}{end}", tmp_path)
    assert lines_of(tmp_path) == LINES


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=["plain", "synced"])
def test_so_they_are_in_a_forked_daemon(settings: str, tmp_path: Path) -> None:
    code = """
logger = start()
log(logger, 0, 100)
pid = os.fork()
if pid:
    assert os.waitpid(pid, 0)[1] == 0
    print("the daemon has ended")
    sys.exit(0 if logger.close(10) else 1)
"""
    done = run_program(START + settings + code + DAEMON + CLOSE, tmp_path)
    assert done.stdout == "the daemon has ended\n"
    assert lines_of(tmp_path) == LINES


def test_a_fork_after_the_numbers_were_taken(tmp_path: Path) -> None:
    # The child gives up its copies of the parent's spool: none of the descriptors is the spool's any more.
    code = """
logger = start()
log(logger, 0, 100)
close_everything()
strangers.update(take_numbers())
pid = os.fork()
if pid == 0:
    log(logger, 100, 100)
    for fd, (about, pattern) in strangers.items():
        assert os.fstat(fd).st_ino == about.st_ino and os.pread(fd, len(pattern) + 1, 0) == pattern, fd
    os._exit(0 if logger.close(10) else 1)
assert os.waitpid(pid, 0)[1] == 0
is_untouched(strangers)
"""
    run_program(START + code + CLOSE, tmp_path)
    assert lines_of(tmp_path) == LINES


def test_a_spool_that_is_replaced_or_left_closes_no_strangers_file(tmp_path: Path) -> None:
    code = """
logger = start()
log(logger, 0, 100)
close_everything()
strangers.update(take_numbers())
logger.configure(LoggerConfig(spool=folder / "other.spool", auto_sink=False, on_error=told.append))
log(logger, 100, 50)
is_untouched(strangers)
logger.configure(LoggerConfig(auto_sink=False, on_error=told.append))
log(logger, 150, 50)
is_untouched(strangers)
"""
    run_program(START + code + CLOSE, tmp_path)
    assert lines_of(tmp_path) == LINES


def test_what_is_preserved_keeps_the_spool_as_it_was(tmp_path: Path) -> None:
    """A daemoniser leaves `filenos()` open: nothing is told, the spool keeps its lock, and a kill loses nothing."""
    code = """
logger = start()
log(logger, 0, 100)
own = logger.filenos()
assert len(own) == 2, own  # the log file, the spool
for fd in range(3, 256):
    if fd not in own:
        try:
            os.close(fd)
        except OSError:
            pass
strangers.update(take_numbers())
(spool,) = folder.glob("app.spool.*")
log(logger, 100, 50)
other = os.open(spool, os.O_RDWR)
try:
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    raise AssertionError("the lock of the spool is gone")
except BlockingIOError:
    pass
logger.configure(LoggerConfig(
    spool=folder / "app.spool", auto_sink=False, on_error=told.append, async_flush_interval=3_600_000, flush_level=None,
))
for i in range(150, 200):
    logger.info("line {}", i)
is_untouched(strangers)
assert told == []
assert list(folder.glob("app.spool.*")) == [spool]
assert logger.filenos() == own
os.kill(os.getpid(), 9)
"""
    run_program(START + code, tmp_path, returncode=-9)
    run_program(f"{START}logger = start()\nassert logger.flush() and logger.close() and told == []", tmp_path)
    assert lines_of(tmp_path) == LINES
    assert list(tmp_path.glob("app.spool*")) == []


def test_a_spool_has_one_descriptor(tmp_path: Path) -> None:
    code = """
def opened():
    found = {}
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            found[number] = os.fstat(number).st_ino
        except OSError:
            pass  # of the listing
    return found

before = opened()
logger = start()
log(logger, 0, 10)
assert sorted(set(opened()) - set(before)) == logger.filenos(), opened()
(spool,) = folder.glob("app.spool.*")
assert list(opened().values()).count(spool.stat().st_ino) == 1, opened()
assert logger.close()
assert opened() == before
"""
    run_program(START + code, tmp_path)


def test_nor_is_one_open_when_a_dead_processs_spool_has_been_read(tmp_path: Path) -> None:
    # The object lives on after the file was closed: its number is a stranger's when the object goes.
    code = """
logger = start()
logger.flush()
for i in range(200):
    logger.info("line {}", i)
os.kill(os.getpid(), 9)
"""
    run_program(
        START + "SETTINGS.update(async_flush_interval=3_600_000, flush_level=None)\n" + code, tmp_path, returncode=-9
    )
    code = """
from logly.spool.spools import open_dead
(spool,) = folder.glob("app.spool.*")
for is_copy in (False, True):
    file = open_dead(os.fspath(spool), is_copy=is_copy)
    file.check()
    names = [os.readlink(f"/proc/self/fd/{fd}") for fd in range(3, 64) if os.path.exists(f"/proc/self/fd/{fd}")]
    assert names.count(os.fspath(spool)) == 1, names
    close_everything()
    mine = take_numbers("of a reader")
    file.close()
    file.close()
    is_untouched(mine)
    del file
    gc.collect()
    is_untouched(mine)
    close_everything()
logger = start()
assert logger.flush() and logger.close() and told == []
"""
    run_program(START + code, tmp_path)
    assert lines_of(tmp_path) == LINES
