"""Rotation, retention and compression of a file that is written to meanwhile."""

import bz2
import contextlib
import errno
import gzip
import importlib
import lzma
import os
import re
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from logly import Logger, SinkConfig
from logly._core import ZONE_UTC
from logly.files import compression, rotation
from logly.files.logfile import LogFile
from tests.support.instants import ns
from tests.support.log_files import all_lines, check_threads, rotated_files
from tests.support.loggers import make_logger
from tests.support.threads import run_threads
from tests.support.waiting import wait_until

OPENERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "bz2": bz2.decompress,
    "xz": lzma.decompress,
}
SUFFIXES = {"gzip": ".gz", "bz2": ".bz2", "xz": ".xz"}


@pytest.mark.parametrize("count", [50_000, pytest.param(500_000, marks=pytest.mark.nightly)])
def test_four_threads_and_a_limit_of_1_mb(tmp_path: Path, count: int) -> None:
    threads, limit = 4, 1_000_000
    path = tmp_path / "app.log"
    logger = make_logger()
    sink = logger.add_sink(SinkConfig(path=path, format="{message}", size_limit="1 MB"))

    def work(thread: int) -> None:
        for i in range(count):
            logger.info("{} {} some text that fills the line", thread, i)

    run_threads(*(partial(work, number) for number in range(threads)))
    assert logger.flush(60)
    rotations = logger.sink_stats(sink).rotations
    assert logger.close(60)
    check_threads(all_lines(path), threads, count)
    files = rotated_files(path)
    assert len(files) == rotations > 5
    sizes = [file.stat().st_size for file in files]
    assert max(sizes) <= limit
    assert min(sizes) > limit - 100  # full but for less than a line
    assert path.stat().st_size <= limit


def test_a_line_larger_than_the_limit_has_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    with make_logger() as logger:
        logger.add_sink(SinkConfig(path=path, format="{message}", size_limit=10))
        for text in ("a" * 50, "b", "c", "d" * 200_000, "e"):
            logger.info(text)
    texts = [file.read_text() for file in [*rotated_files(path), path]]
    assert texts == ["a" * 50 + "\n", "b\nc\n", "d" * 200_000 + "\n", "e\n"]


def test_size_and_age_of_a_file_found_at_start_count(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text("x" * 95 + "\n")
    with make_logger() as logger:
        logger.add_sink(SinkConfig(path=path, format="{message}", size_limit=100))
        logger.info("12345678")
    assert [file.stat().st_size for file in rotated_files(path)] == [96]
    old = tmp_path / "old.log"
    old.write_text("of the day before yesterday\n")
    then = time.time() - 2 * 86_400
    os.utime(old, (then, then))
    with make_logger() as logger:
        logger.add_sink(SinkConfig(path=old, format="{message}", rotation="daily"))
        logger.info("today")
    assert old.read_text() == "today\n"
    assert [file.read_text() for file in rotated_files(old)] == ["of the day before yesterday\n"]


def test_every_record_is_in_the_file_of_its_own_second(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    logger = make_logger(timezone="utc")
    config = SinkConfig(path=path, format="{time:YYYYMMDD_HHmmss} {message}", rotation=timedelta(seconds=1))
    logger.add_sink(config)
    count = 0

    def enough() -> bool:
        nonlocal count
        for _ in range(200):
            logger.info("{}", count)
            count += 1
        return len(rotated_files(path)) >= 3

    wait_until(enough)
    logger.close()
    lines = all_lines(path)
    assert [int(line.split()[1]) for line in lines] == list(range(count))
    for file in rotated_files(path):
        stamps = {line.split()[0] for line in file.read_text().splitlines()}
        assert len(stamps) == 1
        assert stamps == {file.stem.removeprefix("app_")}  # the second that has ended


def test_time_and_size_together(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    logger = make_logger(timezone="utc")
    config = SinkConfig(path=path, format="{time:ss} {message}", rotation="1 second", size_limit=5_000)
    logger.add_sink(config)
    count = 0

    def enough() -> bool:
        nonlocal count
        for _ in range(100):
            logger.info("{:06}", count)
            count += 1
        return len({file.name[:19] for file in rotated_files(path)}) >= 4

    wait_until(enough)
    logger.close()
    files = rotated_files(path)
    assert [int(line.split()[1]) for line in all_lines(path)] == list(range(count))
    assert all(file.stat().st_size <= 5_000 for file in [*files, path])
    assert all(len({line.split()[0] for line in file.read_text().splitlines()}) == 1 for file in files)


def test_a_time_of_day_that_is_near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "app.log"
    boundary = (datetime.now() + timedelta(seconds=2)).replace(microsecond=0)
    logger = make_logger()
    logger.add_sink(SinkConfig(path=path, format="{message}", rotation=boundary.strftime("%H:%M:%S")))
    logger.info("before")
    assert logger.flush()

    def passed() -> list[Path]:
        logger.info("tick")
        return rotated_files(path)

    (file,) = wait_until(passed)
    logger.close()
    assert file.name == (boundary - timedelta(seconds=1)).strftime("app_%Y%m%d_%H%M%S.log")
    assert file.read_text().startswith("before\n")
    assert set(path.read_text().splitlines()) == {"tick"}


def test_retention_keeps_so_many_and_touches_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    bystander = tmp_path / "app_backup.log"
    bystander.write_text("keep me\n")
    logger = make_logger()
    logger.add_sink(SinkConfig(path=path, format="{message}", size_limit=1_000, retention=3))
    for i in range(1_000):
        logger.info("{:09}", i)
    assert logger.close()
    wait_until(lambda: len(list(tmp_path.glob("app_2*.log"))) == 3)
    kept = [line for file in sorted(tmp_path.glob("app_2*.log")) for line in file.read_text().splitlines()]
    kept += path.read_text().splitlines()
    assert kept == [f"{i:09}" for i in range(1_000 - len(kept), 1_000)]
    assert bystander.read_text() == "keep me\n"


@pytest.mark.parametrize("method", ["gzip", "bz2", "xz", "zstd"])
def test_rotated_files_are_compressed_whole_and_in_order(tmp_path: Path, method: str) -> None:
    decompress = zstd_decompress() if method == "zstd" else OPENERS[method]
    suffix = ".zst" if method == "zstd" else SUFFIXES[method]
    path = tmp_path / "app.log"
    logger = make_logger()
    logger.add_sink(SinkConfig(path=path, format="{message}", size_limit=20_000, compression=method))
    for i in range(10_000):
        logger.info("{:09}", i)
    assert logger.close()
    wait_until(lambda: all(file.name.endswith(suffix) for file in rotated_files(path)))
    lines: list[str] = []
    for file in rotated_files(path):
        lines += decompress(file.read_bytes()).decode().splitlines()
    lines += path.read_text().splitlines()
    assert lines == [f"{i:09}" for i in range(10_000)]
    assert not list(tmp_path.glob("*.part"))


def zstd_decompress() -> Callable[[bytes], bytes]:
    for name in ("compression.zstd", "backports.zstd"):
        with contextlib.suppress(ImportError):
            return importlib.import_module(name).decompress  # type: ignore[no-any-return]
    zstandard = pytest.importorskip("zstandard", reason="no zstd: neither built in, nor backports.zstd or zstandard")
    return lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)  # type: ignore[no-any-return]


def test_what_a_crash_left_plain_is_compressed_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    left = tmp_path / "app_20240101_000000.log"
    left.write_text("left over\n")
    (tmp_path / "app_20240102_000000.log.gz.part").write_bytes(b"half")
    with make_logger() as logger:
        logger.add_sink(SinkConfig(path=path, size_limit="1 MB", compression="gzip"))
        wait_until(lambda: not left.exists() and not list(tmp_path.glob("*.part")))
    assert gzip.decompress(left.with_suffix(".log.gz").read_bytes()) == b"left over\n"


def test_a_rotation_that_fails_is_told_and_tried_again_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from logly.control import file_sink

    monkeypatch.setattr(file_sink, "ROTATION_RETRY_NS", 50_000_000)
    path = tmp_path / "app.log"
    told: list[Exception] = []
    failing = threading.Event()
    failing.set()
    rename = os.rename

    def sometimes(source: str, target: str) -> None:
        if failing.is_set():
            raise PermissionError(13, "not now", source)
        rename(source, target)

    monkeypatch.setattr(os, "rename", sometimes)
    logger = make_logger(on_error=told.append)
    logger.add_sink(SinkConfig(path=path, format="{message}", size_limit=1_000))
    for i in range(1_000):
        logger.info("{:04}", i)
    assert logger.flush(20)
    wait_until(lambda: told)
    assert not rotated_files(path)
    failing.clear()

    def rotated() -> list[Path]:
        logger.info("more")
        return rotated_files(path)

    wait_until(rotated)
    logger.close()
    assert [line for line in all_lines(path) if line != "more"] == [f"{i:04}" for i in range(1_000)]


def test_a_clock_set_far_back_does_not_stop_rotation(tmp_path: Path) -> None:
    """The schedule believed in a boundary of the wrong date; the first record of the right one puts it right."""
    path = tmp_path / "app.log"
    logger = make_logger()
    sink_id = logger.add_sink(SinkConfig(path=path, format="{message}", rotation="1 second"))
    sink = logger._controller.sinks[sink_id]
    assert sink.file is not None
    assert sink.file.schedule is not None
    sink.file.schedule.next_ns += 86_400 * 10**9
    begin, end = sink.file.period_ns
    sink.handle.rotated(by_time=True, renamed=False, period_from_ns=begin, period_end_ns=end)

    def rotated() -> list[Path]:
        logger.info("tick")
        return rotated_files(path)

    wait_until(rotated)
    logger.close()


def test_reopen_and_watch(tmp_path: Path) -> None:
    path, watched = tmp_path / "app.log", tmp_path / "watched.log"
    logger = make_logger()
    logger.add_sink(SinkConfig(path=path, format="{message}"))
    logger.add_sink(SinkConfig(path=watched, format="{message}", watch=True))
    logger.info("one")
    assert logger.flush()
    path.rename(tmp_path / "app.log.1")
    watched.unlink()
    logger.info("two")
    logger.reopen()
    logger.info("three")
    logger.close()
    assert (tmp_path / "app.log.1").read_text() == "one\ntwo\n"
    assert path.read_text() == "three\n"
    assert watched.read_text() == "two\nthree\n"


def test_a_watched_file_whose_folder_is_gone_for_a_while_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    told: list[Exception] = []
    logger = make_logger(on_error=told.append, stall_timeout=60)
    logger.add_sink(SinkConfig(path=folder / "app.log", format="{message}", watch=True))
    logger.info("one")
    assert logger.flush()
    folder.rename(tmp_path / "aside")
    folder.write_text("in the way")
    logger.info("two")
    wait_until(lambda: told)
    assert re.search("folder", str(told[0]))
    folder.unlink()
    assert logger.flush(30)
    assert (folder / "app.log").read_text() == "two\n"
    logger.close()


def test_reopening_under_load_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    logger = make_logger()
    logger.add_sink(SinkConfig(path=path, format="{message}", size_limit=50_000))
    done = threading.Event()

    def reopen() -> None:
        while not done.is_set():
            logger.reopen()

    helper = threading.Thread(target=reopen)
    helper.start()

    def work(thread: int) -> None:
        for i in range(5_000):
            logger.info("{} {}", thread, i)

    run_threads(*(partial(work, number) for number in range(4)))
    done.set()
    helper.join()
    logger.close()
    check_threads(all_lines(path), 4, 5_000)


def test_close_with_a_rotation_pending(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    logger: Logger = make_logger(async_flush_interval=60_000)
    logger.add_sink(SinkConfig(path=path, format="{message}", size_limit=100))
    for i in range(100):
        logger.info("{:04}", i)
    assert logger.close(30)
    assert all_lines(path) == [f"{i:04}" for i in range(100)]
    assert len(rotated_files(path)) == 4


@pytest.mark.parametrize(
    "others",
    [
        ["20240101_235959"],
        ["20240101_235959", "20240102_170000", "20240102_170000_0001"],
        ["20240102_000000"],  # of a version of logly that named files by the boundary
    ],
)
def test_a_process_that_was_idle_at_a_boundary_keeps_the_days_apart(tmp_path: Path, others: list[str]) -> None:
    """Another has rotated at the boundary that this one waits for, and the file's lines are of the day after."""
    path = tmp_path / "app.log"
    file = LogFile(SinkConfig(path=path, rotation="daily").resolved(), zone=ZONE_UTC, on_error=print)
    assert file.schedule is not None
    file.schedule.next_ns = ns("2024-01-02T00:00")
    for stamp in others:
        (tmp_path / f"app_{stamp}.log").write_text("of the first, or rotated by size\n")
    path.write_text("of the second\n")
    os.utime(path, ns=(ns("2024-01-02T20:00"),) * 2)
    turn = file.rotate(ns("2024-01-03T08:00"), 10)
    assert turn.is_renamed
    file.files.file = turn.file
    file.has_rotated(ns("2024-01-03T08:00"))
    assert (tmp_path / "app_20240102_235959.log").read_text() == "of the second\n"
    assert file.schedule.next_ns == ns("2024-01-04T00:00")
    # The other one comes later, and finds that done.
    path.write_text("of the third\n")
    os.utime(path, ns=(ns("2024-01-03T08:00"),) * 2)
    file.schedule.next_ns = ns("2024-01-03T00:00")
    assert not file.rotate(ns("2024-01-03T09:00"), 10).is_renamed
    assert path.read_text() == "of the third\n"
    file.close()


def test_a_process_alone_names_the_file_by_the_first_boundary_that_passed(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    file = LogFile(SinkConfig(path=path, rotation="daily").resolved(), zone=ZONE_UTC, on_error=print)
    assert file.schedule is not None
    file.schedule.next_ns = ns("2024-01-02T00:00")
    path.write_text("of the first\n")
    turn = file.rotate(ns("2024-01-05T08:00"), 10)
    assert [one.name for one in rotated_files(path)] == ["app_20240101_235959.log"]
    assert turn.file is not None
    file.close()


def test_where_the_file_system_knows_no_locks_files_rotate_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(fd: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(rotation.fcntl, "flock", flock)
    told: list[Exception] = []
    path = tmp_path / "app.log"
    with make_logger(on_error=told.append) as logger:
        logger.add_sink(SinkConfig(path=path, format="{message}", size_limit=100))
        for i in range(100):
            logger.info("{:09}", i)
    assert told == []
    assert [len(file.read_text()) for file in rotated_files(path)] == [100] * 9
    assert all_lines(path) == [f"{i:09}" for i in range(100)]


def test_a_compression_that_failed_is_made_up_for_at_the_next_rotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = compression.compress, [OSError(errno.ENOSPC, "No space left on device")]

    def compress(path: str, method: str) -> str | None:
        if failures:
            raise failures.pop()
        return real(path, method)

    monkeypatch.setattr(compression, "compress", compress)
    told: list[Exception] = []
    path = tmp_path / "app.log"
    with make_logger(on_error=told.append) as logger:
        logger.add_sink(SinkConfig(path=path, format="{message}", size_limit=10, compression="gzip"))
        logger.info("x" * 9)
        logger.info("y" * 9)
        assert logger.flush(60)
        wait_until(lambda: bool(told))
        logger.info("z" * 9)
        assert logger.flush(60)
        wait_until(lambda: [file.suffix for file in rotated_files(path)] == [".gz", ".gz"])
    assert [gzip.decompress(file.read_bytes())[:1] for file in rotated_files(path)] == [b"x", b"y"]


@pytest.mark.parametrize("which", ["fd", "lock_fd"])
def test_a_descriptor_that_others_closed_and_that_is_another_files_by_now_is_not_closed(
    tmp_path: Path, which: str
) -> None:
    logger = make_logger()
    sink_id = logger.add_sink(SinkConfig(path=tmp_path / "app.log", size_limit="1 MB"))
    file = logger._controller.sinks[sink_id].file
    assert file is not None
    number = getattr(file, which)
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    os.dup2(other, number)
    os.close(other)
    logger.close()
    assert os.fstat(number).st_ino == os.stat(tmp_path / "other").st_ino
    os.close(number)


def test_processes_that_were_idle_over_several_boundaries_rotate_once(tmp_path: Path) -> None:
    """A quiet night: the first that logs in the morning rotates, and the others leave its file alone."""
    path = tmp_path / "app.log"
    path.write_text("of the evening\n")
    config = SinkConfig(path=path, rotation="hourly").resolved()
    files = [LogFile(config, zone=ZONE_UTC, on_error=print) for _ in range(4)]
    for file in rotated_files(path):
        file.rename(path)
    for file_ in files:
        file_.files.put(*file_.reopen())
        assert file_.schedule is not None
        file_.schedule.next_ns = ns("2024-01-01T23:00")
        file_.rotate(ns("2024-01-02T08:00"), 10)
        file_.files.put(*file_.reopen())
        with path.open("a") as out:
            out.write("of the morning\n")
    assert [file.name for file in rotated_files(path)] == ["app_20240101_225959.log"]
    assert path.read_text() == "of the morning\n" * 4
    for file_ in files:
        file_.close()
