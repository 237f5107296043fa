"""What the system refuses while a spool is made or found again: the error says so, and nothing is lost or left over."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from logly import ConfigError, Logger, LoggerConfig, SinkConfig, SpoolError
from tests.support.disks import size_for_spool, small_disk
from tests.support.hooks import registry_counts
from tests.support.log_files import lines_of
from tests.support.programs import run_program
from tests.support.spooling import dies, revive, run_recover, spools

if sys.platform == "win32":
    pytest.skip("no spools on Windows", allow_module_level=True)

from logly.spool import spools as spool


def make(folder: Path, **settings: Any) -> Logger:
    return Logger(LoggerConfig(auto_sink=False, spool=folder / "app.spool", **settings))


# ---- made


def test_a_system_that_cannot_allocate_has_the_whole_file_all_the_same(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delattr(os, "posix_fallocate")  # as on macOS
    with make(tmp_path) as logger:
        about = (tmp_path / spools(tmp_path)[0]).stat()
        assert about.st_blocks * 512 >= about.st_size > 4096
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
        logger.info("line")
    assert lines_of(tmp_path / "app.log") == ["line"]


def test_without_the_id_of_the_machine_s_start_syncing_is_refused(tmp_path: Path, monkeypatch) -> None:
    real = spool.system.open_file

    def open_file(path: str, *rest: Any, **named: Any) -> Any:
        if path.startswith("/proc/"):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        return real(path, *rest, **named)

    monkeypatch.setattr(spool.system, "open_file", open_file)
    with pytest.raises(ConfigError, match="only on Linux, with /proc"):
        make(tmp_path, spool_fsync=100)
    with make(tmp_path):
        assert len(spools(tmp_path)) == 1


@pytest.mark.parametrize("ending", ["", ".new"], ids=["whole", "half made"])
def test_ten_thousand_spools_of_the_same_process_id_are_told(tmp_path: Path, ending: str) -> None:
    names = {f"app.spool.{os.getpid()}{part}{ending}" for part in ["", *(f".{n}" for n in range(1, 10_000))]}
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(SpoolError, match="too many spools of dead processes: recover or remove them"):
        make(tmp_path)
    assert set(spools(tmp_path)) == names


def test_a_new_spool_whose_lock_a_recovery_holds_is_left_to_it(tmp_path: Path, monkeypatch) -> None:
    """The recovery has found the new file before its process locks it, and removes it as one of a dead process."""
    real, refused = spool.fcntl.flock, []

    def flock(own: Any, how: int) -> None:
        if not refused:
            refused.append(own)
            raise BlockingIOError(errno.EWOULDBLOCK, "Resource temporarily unavailable")
        real(own, how)

    monkeypatch.setattr(spool.fcntl, "flock", flock)
    with make(tmp_path):
        assert spools(tmp_path) == [f"app.spool.{os.getpid()}", f"app.spool.{os.getpid()}.new"]


def test_without_hard_links_a_name_that_is_taken_is_not_written_over(tmp_path: Path, monkeypatch) -> None:
    def link(source: str, target: str) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(spool.os, "link", link)
    other = tmp_path / f"app.spool.{os.getpid()}"
    other.write_text("another's")
    with make(tmp_path):
        assert spools(tmp_path) == [other.name, f"{other.name}.1"]
    assert other.read_text() == "another's"


def test_a_child_that_cannot_make_its_spool_logs_without_one_and_says_so(tmp_path: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from logly import Logger, LoggerConfig, SinkConfig
folder = Path(sys.argv[1])
told = []
config = LoggerConfig(auto_sink=False, spool=folder / "sub" / "app.spool", on_error=told.append)
logger = Logger(config)
logger.add_sink(SinkConfig(path=folder / "app.log", format="{message}"))
logger.info("parent")
assert logger.flush(30)
(folder / "sub").rename(folder / "away")
(folder / "sub").touch()  # a file where the spool's folder was
if os.fork() == 0:
    logger.info("child")
    logger.close()
    print(*told)
    sys.exit()
os.wait()
"""
    done = run_program(program, tmp_path)
    assert "SpoolError" not in done.stderr
    assert "File exists" in done.stdout or "Not a directory" in done.stdout
    assert str(tmp_path / "sub") in done.stdout
    assert lines_of(tmp_path / "app.log") == ["parent", "child"]


def test_new_call_sites_on_a_full_disk_are_in_their_records(tmp_path: Path) -> None:
    """A record names its place by a number only if the spool says what the number means."""
    with small_disk(tmp_path, size_for_spool(tmp_path)) as disk, make(disk) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{module} {function} {message}"))
        with contextlib.suppress(OSError), (disk / "filler").open("wb") as filler:
            while True:
                filler.write(bytes(4096))
                filler.flush()
        before = registry_counts()
        for i in range(300):
            code = compile(f"def f{i}(): logger.info('known {{}}', {i})\nf{i}()", f"file{i}.py", "exec")
            exec(code, {"logger": logger, "__name__": f"m{i}"})
        assert logger.flush(30)
        (disk / "filler").unlink()
        assert registry_counts()[1] - before[1] < 300
    assert lines_of(tmp_path / "app.log") == [f"m{i} f{i} known {i}" for i in range(300)]


# ---- found again


def test_recover_of_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    gone = tmp_path / "gone" / "app.spool"
    assert run_recover(gone, returncode=1).stderr == f"logly: no spool {gone}: nothing to recover\n"


def test_a_folder_with_the_name_of_a_spool_is_told(tmp_path: Path) -> None:
    (tmp_path / "app.spool.1").mkdir()
    dies(tmp_path, "logger.info('left')")
    [error] = revive(tmp_path)
    assert isinstance(error, SpoolError)
    assert (error.errno, error.filename) == (errno.EISDIR, str(tmp_path / "app.spool.1"))
    assert (tmp_path / "app.log").read_text().endswith("left\n")


def test_a_spool_that_another_process_recovers_at_this_moment_is_not_told(tmp_path: Path, monkeypatch) -> None:
    """It removes the file between the opening and the lock, when the file has been looked at already."""
    dies(tmp_path, "logger.info('left')")
    [left] = spools(tmp_path)
    about = (tmp_path / left).stat()
    real, looks = spool.fcntl.flock, []

    def flock(own: Any, how: int) -> None:
        if os.path.samestat(os.fstat(own.fileno()), about):
            looks.append(how)
            if len(looks) == 2:
                (tmp_path / left).unlink()
        real(own, how)

    monkeypatch.setattr(spool.fcntl, "flock", flock)
    assert revive(tmp_path) == []
    assert spools(tmp_path) == []
    assert lines_of(tmp_path / "app.log") == []  # the other one delivers it


@pytest.mark.parametrize(
    ("trouble", "number", "words"),
    [
        (OSError(errno.EMFILE, "Too many open files"), errno.EMFILE, "Too many open files"),
        (ValueError("no such thing"), errno.EINVAL, "damaged: no such thing"),
    ],
    ids=["no descriptor", "nonsense"],
)
def test_a_spool_that_cannot_be_read_is_told_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Exception, number: int, words: str
) -> None:
    dies(tmp_path, "logger.info('left')")
    left = spools(tmp_path)

    def fail(*_: object) -> None:
        raise trouble

    with monkeypatch.context() as patch:
        patch.setattr(spool, "DeadSpool", fail)
        [error] = revive(tmp_path)
    assert isinstance(error, SpoolError)
    assert (error.errno, error.filename) == (number, str(tmp_path / left[0]))
    assert words in str(error)
    assert spools(tmp_path) == left
    assert revive(tmp_path) == []
    assert (tmp_path / "app.log").read_text().endswith("left\n")


def test_a_spool_that_is_damaged_between_two_looks_is_told_and_the_others_are_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All spools are looked at before the first one is delivered."""
    for number in range(2):
        (tmp_path / "sub").mkdir(exist_ok=True)
        dies(tmp_path / "sub", f"logger.info('left {number}')")
        [left] = (tmp_path / "sub").glob("app.spool.*")
        left.rename(tmp_path / left.name)
    damaged: list[str] = []
    real = spool.finish_writes

    def finish_and_damage(paths: list[str], on_error: Any) -> list[str]:
        sorted_paths = real(paths, on_error)
        damaged.append(next(path for path in sorted_paths if not path.endswith(f".{os.getpid()}")))
        os.truncate(damaged[0], 100_000)
        return sorted_paths

    monkeypatch.setattr(spool, "finish_writes", finish_and_damage)
    [error] = revive(tmp_path)
    assert isinstance(error, SpoolError)
    assert error.filename == damaged[0]
    assert "too short" in str(error)
    assert [line.rpartition(" ")[2] for line in lines_of(tmp_path / "app.log")] == ["1"]


def test_a_recursion_that_is_too_deep_says_nothing_about_a_spool(tmp_path: Path, monkeypatch) -> None:
    dies(tmp_path, "logger.info('left')")

    def too_deep(path: str) -> None:
        raise RecursionError

    told: list[Exception] = []
    with monkeypatch.context() as patch:
        patch.setattr(spool, "open_dead", too_deep)
        with pytest.raises(RecursionError):
            list(spool.dead_spools(str(tmp_path / "app.spool"), told.append))
    assert told == []
    assert revive(tmp_path) == []
    assert (tmp_path / "app.log").read_text().endswith("left\n")
