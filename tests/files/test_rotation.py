"""Rotated files: names, retention, compression, and several processes with one file."""

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logly._core import ZONE_UTC
from logly.errors import ConfigError, SinkError
from logly.files import compression
from logly.files.housekeeper import Housekeeper
from logly.files.opening import identity, names_file
from logly.files.rotated import Retention, RotatedName, parse_retention, prune
from logly.files.rotation import lock_path, open_lock, rotate
from logly.files.schedule import NEVER_NS
from tests.support.instants import SECOND, ns
from tests.support.programs import start_program


@pytest.fixture
def name(tmp_path):
    return RotatedName(str(tmp_path / "app.log"), zone=ZONE_UTC)


def put(folder, *names):
    for one in names:
        (folder / one).write_text(one)


def test_names_carry_the_time_and_sort_by_it(tmp_path, name):
    chosen = []
    for second in (0, 0, 0, 5, 3, 9):  # the fifth: the clock went back
        path = Path(name.choose(ns("2024-01-01T12:00") + second * SECOND))
        assert not path.exists()
        path.touch()
        chosen.append(path.name)
    assert chosen == sorted(chosen)
    assert chosen[:3] == [
        "app_20240101_120000.log",
        "app_20240101_120000_0001.log",
        "app_20240101_120000_0002.log",
    ]
    assert [file.path for file in name.files()] == [str(tmp_path / one) for one in chosen]


def test_a_compressed_file_keeps_its_name_taken(tmp_path, name):
    put(tmp_path, "app_20240101_120000.log.gz")
    assert name.choose(ns("2024-01-01T12:00")).endswith("app_20240101_120000_0001.log")


def test_names_stay_in_order_where_local_time_repeats_an_hour(tmp_path, in_zone):
    in_zone("Europe/Berlin")
    name = RotatedName(str(tmp_path / "app.log"))
    chosen = []
    for minutes in range(0, 180, 20):
        path = Path(name.choose(ns("2024-10-26T23:30") + minutes * 60 * SECOND))
        path.touch()
        chosen.append(path.name)
    assert chosen == sorted(set(chosen))


def test_a_file_from_a_far_future_does_not_capture_the_names(tmp_path, name):
    put(tmp_path, "app_20990101_000000.log")
    assert name.choose(ns("2024-01-01T12:00")).endswith("app_20240101_120000.log")


@pytest.mark.parametrize(
    "foreign",
    [
        "app.log",
        "app_20240101.log",
        "app_20241301_000000.log",
        "app_20240101_120000.txt",
        "xapp_20240101_120000.log",
        "app_20240101_120000.log.zip",
        "app_20240101_120000_1.log",
        "app_20240101_120000_0000.log",
        "app_20240101_120000.log.gz.part",
        "app_20240101_120000.log.bak",
        "app_extra_20240101_120000.log",
    ],
)
def test_foreign_names_are_never_touched(tmp_path, name, foreign):
    put(tmp_path, foreign)
    assert name.match(foreign) is None
    assert prune(name, Retention(files=0), NEVER_NS) == []
    assert (tmp_path / foreign).exists()


def test_a_folder_or_link_with_a_matching_name_is_never_touched(tmp_path, name):
    (tmp_path / "app_20240101_120000.log").mkdir()
    (tmp_path / "app_20240102_120000.log").symlink_to("precious")
    put(tmp_path, "precious")
    assert prune(name, Retention(files=0), NEVER_NS) == []
    assert len(os.listdir(tmp_path)) == 3


@given(
    stem=st.text("ab._-0", min_size=1, max_size=6).filter(lambda stem: stem.strip(".")),
    when=st.datetimes(datetime(1971, 1, 1), datetime(2090, 1, 1)),
    number=st.integers(0, 20000),
    suffix=st.sampled_from(["", ".gz", ".bz2", ".xz", ".zst"]),
)
def test_what_was_named_is_recognised(stem, when, number, suffix):
    name = RotatedName(stem, zone=ZONE_UTC)
    counted = f"_{number:04}" if number else ""
    file = name.match(f"{name.stem}_{when:%Y%m%d_%H%M%S}{counted}{name.extension}{suffix}")
    assert (file.number, file.suffix) == (number, suffix)
    assert name.end_ns(file) == int(when.replace(microsecond=0, tzinfo=UTC).timestamp()) * SECOND


def test_retention_by_count_keeps_the_newest(tmp_path, name):
    put(tmp_path, "app.log", *(f"app_202401{day:02}_000000.log" for day in range(1, 6)))
    put(tmp_path, "app_20240105_000000_0001.log.gz", "app_20240105_000000_0001.log")
    prune(name, parse_retention(2), NEVER_NS)
    left = [
        "app.log",
        "app_20240105_000000.log",
        "app_20240105_000000_0001.log",
        "app_20240105_000000_0001.log.gz",
    ]
    assert sorted(os.listdir(tmp_path)) == left


def test_retention_by_age_goes_by_the_name_not_by_the_files_times(tmp_path, name):
    put(tmp_path, "app_20240101_000000.log.gz", "app_20240110_000000.log")
    assert prune(name, parse_retention("7 days"), ns("2024-01-10")) == [str(tmp_path / "app_20240101_000000.log.gz")]


@pytest.mark.parametrize(("value", "files"), [(0, 0), (7, 7), ("7", 7), ("10 files", 10)])
def test_retention_counts(value, files):
    assert parse_retention(value) == Retention(files=files)


def decompress(path):
    import bz2
    import gzip
    import lzma

    return {".gz": gzip, ".bz2": bz2, ".xz": lzma}[Path(path).suffix].open(path).read()


@pytest.mark.parametrize("method", ["gzip", "bz2", "xz"])
def test_compression_replaces_the_file_and_keeps_mode_and_times(tmp_path, method):
    plain = tmp_path / "app_20240101_000000.log"
    plain.write_bytes(b"line\n" * 500_000)
    plain.chmod(0o640)
    os.utime(plain, ns=(5 * SECOND, 7 * SECOND))
    target = compression.compress(str(plain), compression.find_method(method))
    assert os.listdir(tmp_path) == [Path(target).name]
    assert decompress(target) == b"line\n" * 500_000
    assert (os.stat(target).st_mode & 0o777, os.stat(target).st_mtime_ns) == (0o640, 7 * SECOND)
    assert compression.compress(str(plain), method) is None


def test_zstd_works_or_says_what_to_install(tmp_path):
    try:
        method = compression.find_method("zst")
    except ConfigError as error:
        told = str(error)
        pytest.skip(told if "zstandard" in told else pytest.fail(told))
    plain = tmp_path / "app_20240101_000000.log"
    plain.write_bytes(b"line\n" * 1000)
    assert compression.compress(str(plain), method).endswith(".log.zst")


def test_a_failed_compression_leaves_the_plain_file_and_no_part(tmp_path, monkeypatch):
    put(tmp_path, "app_20240101_000000.log")

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compression.os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        compression.compress(str(tmp_path / "app_20240101_000000.log"), "gzip")
    assert os.listdir(tmp_path) == ["app_20240101_000000.log"]


def test_a_crashs_leftovers_are_swept_but_not_work_in_progress(tmp_path, name):
    fcntl = pytest.importorskip("fcntl")
    put(tmp_path, "app_20240101_000000.log", "app_20240101_000000.log.gz.part", "other.gz.part")
    put(tmp_path, "app_20240102_000000.log", "app_20240102_000000.log.gz", "app_20240103_000000.log.xz.part")
    with open(tmp_path / "app_20240103_000000.log.xz.part", "rb") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        removed = compression.sweep(name)
        assert compression.compress(str(tmp_path / "app_20240101_000000.log"), "gzip") is not None
    assert [Path(path).name for path in removed] == [
        "app_20240101_000000.log.gz.part",
        "app_20240102_000000.log",
    ]
    assert (tmp_path / "app_20240103_000000.log.xz.part").exists()
    assert compression.leftovers(name) == []


def test_two_who_compress_the_same_file_do_not_disturb_each_other(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    put(tmp_path, "app_20240101_000000.log", "app_20240101_000000.log.gz.part")
    with open(tmp_path / "app_20240101_000000.log.gz.part", "rb") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        assert compression.compress(str(tmp_path / "app_20240101_000000.log"), "gzip") is None
    assert len(os.listdir(tmp_path)) == 2


def test_the_housekeeper_works_in_order_tells_errors_and_leaves_no_thread():
    keeper = Housekeeper("test-keeper")
    gate = threading.Event()
    done, told = [], []
    assert keeper.submit(gate.wait)
    assert not keeper.drain(0)
    keeper.submit(lambda: 1 / 0, told.append)
    for number in range(5):
        keeper.submit(lambda number=number: done.append(number))
    keeper.submit(lambda: done.append(keeper.drain()))
    gate.set()
    assert keeper.drain(60)
    assert done == [0, 1, 2, 3, 4, False]
    assert isinstance(told[0], ZeroDivisionError)
    assert keeper.is_idle


def test_where_no_thread_can_be_started_a_job_is_not_done_and_nobody_waits_for_it(monkeypatch):
    class NoThread:
        is_running = False

        def __init__(self, function):
            pass

        def start(self):
            return False

    keeper = Housekeeper("test-keeper")
    done = []
    with monkeypatch.context() as patch:
        patch.setattr("logly.files.housekeeper.SystemThread", NoThread)
        assert not keeper.submit(lambda: done.append("early"))
    assert keeper.drain(0)
    assert keeper.submit(lambda: done.append("late"))
    assert keeper.drain(60)
    assert done == ["late"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_starts_with_an_idle_housekeeper_of_its_own():
    keeper = Housekeeper("test-keeper")
    gate = threading.Event()
    keeper.submit(gate.wait)
    pid = os.fork()
    if pid == 0:
        done = []
        fine = keeper.is_idle and keeper.submit(lambda: done.append(1)) and keeper.drain(30) and done == [1]
        os._exit(0 if fine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    gate.set()
    assert keeper.drain(60)


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "app.log"
    path.write_bytes(b"one\n")
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    yield str(path), fd
    os.close(fd)


def test_rotating_renames_and_begins_a_new_file(log, name):
    path, fd = log
    done = rotate(name, path, fd, end_ns=ns("2024-01-01T12:00"), mode=0o600)
    assert done.is_rotated
    assert Path(done.path).read_bytes() == b"one\n"
    assert Path(done.path).name == "app_20240101_120000.log"
    about = os.fstat(done.file.fd)
    assert names_file(path, identity(about))
    assert (about.st_size, about.st_mode & 0o777, os.get_inheritable(done.file.fd)) == (0, 0o600, False)


def test_a_process_that_lags_only_reopens(log, name):
    path, fd = log
    lock = open_lock(path)
    arguments = {"end_ns": ns("2024-01-01T12:00"), "is_due": lambda about: True}
    first = rotate(name, path, fd, lock_fd=lock.fd, **arguments)
    os.write(first.file.fd, b"two\n")
    second = rotate(name, path, fd, lock_fd=lock.fd, **arguments)
    assert not second.is_rotated
    assert os.fstat(second.file.fd).st_size == 4
    assert len(name.files()) == 1
    assert os.path.exists(lock_path(path))


def test_an_empty_file_or_one_no_longer_due_stays(log, name):
    path, fd = log
    assert rotate(name, path, fd, end_ns=0, is_due=lambda about: about.st_size > 4) == (None, None)
    os.truncate(path, 0)
    assert rotate(name, path, fd, end_ns=0) == (None, None)


def test_where_no_new_file_can_be_made_the_old_one_is_put_back(log, name, monkeypatch):
    path, fd = log

    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("posix.open", full)
        with pytest.raises(SinkError) as caught:
            rotate(name, path, fd, end_ns=0)
    assert caught.value.errno == 28
    assert names_file(path, identity(os.fstat(fd)))
    assert name.files() == []


WRITER = """
import fcntl, os, sys
from logly._core import ZONE_UTC
from logly.files.rotated import RotatedName
from logly.files.opening import identity, names_file, open_append
from logly.files.rotation import open_lock, rotate

path, who = sys.argv[1:]
name, lock_fd, file = RotatedName(path, zone=ZONE_UTC), open_lock(path), open_append(path)
is_due = lambda about: about.st_size >= 2000
for number in range(400):
    while True:
        fcntl.flock(lock_fd, fcntl.LOCK_SH)
        about = os.fstat(file.fd)
        if names_file(path, identity(about)) and not is_due(about):
            break
        fcntl.flock(lock_fd, fcntl.LOCK_UN)
        done = rotate(name, path, file.fd, end_ns=1_700_000_000_000_000_000, is_due=is_due, lock_fd=lock_fd.fd)
        file = done.file or file
    os.write(file.fd, f"{who} {number}\\n".encode())
    fcntl.flock(lock_fd, fcntl.LOCK_UN)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="flock")
def test_processes_that_share_a_file_lose_and_repeat_no_line(tmp_path, name):
    path = str(tmp_path / "app.log")
    writers = [start_program(WRITER, path, who, stderr=subprocess.PIPE) for who in range(4)]
    errors = [writer.communicate(timeout=100)[1] for writer in writers]
    assert errors == [""] * 4
    rotated = [Path(file.path).read_text() for file in name.files()]
    assert all(2000 <= len(text) < 2000 + 4 * 8 for text in rotated)
    lines = ("".join(rotated) + Path(path).read_text()).splitlines()
    assert sorted(lines) == sorted(f"{who} {number}" for who in range(4) for number in range(400))
    for who in range(4):
        numbers = [int(line.split()[1]) for line in lines if line.startswith(f"{who} ")]
        assert all(one < other for one, other in pairwise(numbers))
