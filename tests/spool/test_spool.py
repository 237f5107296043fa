"""The spool: what a process had logged is in the files exactly once, however it died."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

import logly.control.recovery
import logly.spool.spools
import logly.spool.unfinished_write
from logly import Logger, LoggerConfig, SinkConfig, SpoolError
from tests.support import ROOT
from tests.support.disks import small_disk
from tests.support.records import RECORDS_OF_EVERY_KIND

COUNTERS = 64


# ---- processes that die


class Child:
    """A process that logs at full speed (see spool_child.py)."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        progress = folder / "progress"
        if not progress.exists():
            progress.write_bytes(bytes(8 * COUNTERS))
        command = [sys.executable, "-m", "tests.support.spool_child", str(folder), *options]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "running\n"

    def committed(self) -> tuple[int, ...]:
        """Calls that have returned, by thread."""
        return struct.unpack(f"<{COUNTERS}Q", (self.folder / "progress").read_bytes())

    def kill_after(self, records: int) -> tuple[int, ...]:
        """SIGKILL once so many records more have been logged; how many there are in the end."""
        target = sum(self.committed()) + records
        until(lambda: sum(self.committed()) >= target)
        self.kill()
        return self.committed()

    def kill(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited for a minute"
        os.sched_yield()


def dies(folder: Path, program: str, end: str = "os._exit(1)") -> None:
    """Run a program that logs and ends without a chance to write anything; `logger` and `folder` are given."""
    source = f"""
import os, signal
from pathlib import Path
from logly import Level, Logger, LoggerConfig, SinkConfig
folder = Path({str(folder)!r})
def make(**settings):
    settings = dict(async_flush_interval=3_600_000, flush_level=None, **settings)
    return Logger(LoggerConfig(spool=folder / "app.spool", **settings), name="dead")
logger = make()
logger.add_sink(SinkConfig(path=folder / "app.log", buffer_size=1 << 26))
{program}
{end}
"""
    subprocess.run([sys.executable, "-c", source], cwd=ROOT, timeout=60, check=False)


def revive(folder: Path, *names: str, layout: str | None = None, **settings: object) -> list[Exception]:
    """Start and end a logger that names the spool; what on_error was told."""
    told: list[Exception] = []
    config = LoggerConfig(spool=folder / "app.spool", on_error=told.append)
    with Logger(config) as logger:
        for name in names or ("app.log",):
            logger.add_sink(SinkConfig(path=folder / name, format=layout, **settings))
        assert logger.flush()
    return told


def spools(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("app.spool*"))


def assert_each_once(folder: Path, pattern: str, committed: tuple[int, ...], threads: int = 4) -> None:
    seen: dict[int, list[int]] = defaultdict(list)
    for path in folder.glob(pattern):
        for line in path.read_text().splitlines():
            word, number, count, *_ = line.split(" ")
            assert word == "r"
            seen[int(number)].append(int(count))
    for number in range(threads):
        counts = Counter(seen[number])
        assert [count for count, times in counts.items() if times > 1] == []
        assert sorted(counts) == list(range(len(counts)))
        # A call that had not returned may have committed its record.
        assert committed[number] <= len(counts) <= committed[number] + 1


KILLS = [
    pytest.param((), id="one-file"),
    pytest.param(("--ring", "8192", "--interval", "1", "--mixed"), id="small-ring"),
    pytest.param(("--sink", "app.log", "--sink", "second.log", "--mixed"), id="two-files"),
    pytest.param(("--size-limit", "200000"), id="rotating"),
    pytest.param(("--sync", "--threads", "2"), id="synchronous"),
]


def run_kill(folder: Path, options: tuple[str, ...], seed: int) -> None:
    child = Child(folder, *options)
    committed = child.kill_after(random.Random(seed).randrange(1, 2_000 if "--sync" in options else 60_000))
    limit = {"size_limit": 200_000} if "--size-limit" in options else {}
    names = ("app.log", "second.log") if "second.log" in options else ("app.log",)
    assert revive(folder, *names, layout="{message}", **limit) == []
    assert spools(folder) == []
    threads = 2 if "--sync" in options else 4
    for name in names:
        assert_each_once(folder, name.replace(".log", "*.log"), committed, threads)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("options", KILLS)
def test_every_committed_record_is_there_once_after_sigkill(
    tmp_path: Path, options: tuple[str, ...], seed: int
) -> None:
    run_kill(tmp_path, options, seed)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("options", KILLS)
def test_every_committed_record_is_there_once_after_100_kills_each(tmp_path: Path, options: tuple[str, ...]) -> None:
    for seed in range(100):
        folder = tmp_path / str(seed)
        folder.mkdir()
        run_kill(folder, options, 1000 + seed)


def test_lives_that_end_and_begin_again_share_one_file(tmp_path: Path) -> None:
    for life in range(4):
        committed = Child(tmp_path, *(("--resume",) if life else ())).kill_after(20_000)
        # A record that was committed by a call that did not return is logged again by the next life: make it known.
        revive(tmp_path, layout="{message}")
        counts = [0] * COUNTERS
        for line in (tmp_path / "app.log").read_text().splitlines():
            counts[int(line.split(" ")[1])] += 1
        (tmp_path / "progress").write_bytes(struct.pack(f"<{COUNTERS}Q", *counts))
        assert_each_once(tmp_path, "app.log", tuple(counts))
        assert all(0 <= there - known <= 1 for there, known in zip(counts, committed, strict=True))


@pytest.mark.parametrize("seed", range(8))
def test_a_recovery_that_is_killed_is_taken_up_by_the_next(tmp_path: Path, seed: int) -> None:
    committed = Child(tmp_path, "--interval", "3600000").kill_after(8_000)
    program = f"""
from logly import Logger, LoggerConfig, SinkConfig
logger = Logger(LoggerConfig(spool={str(tmp_path / "app.spool")!r}))
logger.add_sink(SinkConfig(path={str(tmp_path / "app.log")!r}, format="{{message}}", buffer_size=256))
print("ready", flush=True)
logger.flush()
"""
    chance = random.Random(seed)
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        size = (tmp_path / "app.log").stat().st_size
        growth = chance.randrange(60_000)
        until(lambda s=size, g=growth, p=process: (tmp_path / "app.log").stat().st_size > s + g or p.poll() is not None)
        process.kill()
        process.wait()
        process.stdout.close()
    revive(tmp_path, layout="{message}")
    assert spools(tmp_path) == []
    assert_each_once(tmp_path, "app.log", committed)


@pytest.mark.parametrize("end", ["os._exit(1)", "os.kill(os.getpid(), signal.SIGSEGV)", "os.kill(os.getpid(), 9)"])
def test_any_sudden_end(tmp_path: Path, end: str) -> None:
    dies(tmp_path, "for i in range(100): logger.info('number {}', i)", end)
    assert (tmp_path / "app.log").read_text() == ""
    revive(tmp_path, layout="{message}")
    assert (tmp_path / "app.log").read_text() == "".join(f"number {i}\n" for i in range(100))


# ---- what a recovered record says


RICH = 'logger.add_level("NOTICE", 35)' + RECORDS_OF_EVERY_KIND.replace("LARGE", "700_000")


@pytest.mark.parametrize(
    "layout",
    [
        "{time} {level} {name} {module}:{function}:{lineno} {path} {process} {thread} {message} {fields} {exception}",
        "{level:<10} {message} {exception}",
        None,
    ],
)
def test_recovered_lines_are_those_that_their_process_would_have_written(tmp_path: Path, layout: str | None) -> None:
    sink = f"SinkConfig(path=folder / 'both.log', format={layout!r}, buffer_size=1 << 26)"
    # The first logger writes its own lines; the second one's, of the same records, are left to the next process.
    program = f"""
logger.close()
def say(logger):
{"".join("    " + line + chr(10) for line in RICH.splitlines())}
    return logger
logger = make()
logger.add_sink({sink})
say(logger)
"""
    dies(tmp_path, program + "logger.flush()")
    alive = (tmp_path / "both.log").read_text()
    (tmp_path / "both.log").unlink()
    for name in spools(tmp_path):
        (tmp_path / name).unlink()
    dies(tmp_path, program)
    assert "plain" not in (tmp_path / "both.log").read_text()
    revive(tmp_path, "both.log", layout=layout)
    recovered = (tmp_path / "both.log").read_text()
    assert unlike_stamps(recovered) == unlike_stamps(alive)
    assert "\U0001f600" in alive


def unlike_stamps(text: str) -> list[str]:
    """The text without what differs from process to process: times, ids."""
    import re

    # Process and thread ids are masked with the stamps; a process id may be short.
    text = re.sub(r"<string> \d+", "<string> #", text)
    return [re.sub(r"\d{4,}|\d\d[:.]\d\d[:.]\d\d[.\d]*|\d{4}-\d\d-\d\d", "#", line) for line in text.splitlines()]


def test_function_sinks_get_the_records_too(tmp_path: Path) -> None:
    dies(tmp_path, "for i in range(10): logger.info('number {}', i, i=i)")
    records = []
    with Logger(LoggerConfig(spool=tmp_path / "app.spool")) as logger:
        logger.add_sink(SinkConfig(function=records.append))
        logger.info("new")
        logger.flush()
    assert [record.message for record in records] == [f"number {i}" for i in range(10)] + ["new"]
    assert [record.fields for record in records[:10]] == [{"i": i} for i in range(10)]
    assert {record.name for record in records[:10]} == {"dead"}


def test_what_is_new_comes_after_what_was_left(tmp_path: Path) -> None:
    dies(tmp_path, "for i in range(10): logger.info('old {}', i)")
    with Logger(LoggerConfig(spool=tmp_path / "app.spool")) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
        logger.info("new")
    assert (tmp_path / "app.log").read_text().splitlines() == [f"old {i}" for i in range(10)] + ["new"]


def test_a_filter_decides_about_recovered_records_too(tmp_path: Path) -> None:
    dies(tmp_path, "logger.info('low'); logger.error('high')")
    revive(tmp_path, "app.log", "errors.log", layout="{message}", filter_min_level="ERROR")
    assert (tmp_path / "app.log").read_text() == "high\n"
    assert (tmp_path / "errors.log").read_text() == "high\n"


# ---- several processes


def test_several_dead_processes_are_recovered_oldest_first(tmp_path: Path) -> None:
    for life in range(3):
        dies(tmp_path, f"for i in range(5): logger.info('life {life} {{}}', i)")
        (name,) = spools(tmp_path)
        (tmp_path / name).rename(tmp_path / f"kept.{life}")  # or the next life would recover it
    for life in range(3):
        (tmp_path / f"kept.{life}").rename(tmp_path / f"app.spool.{99999 - life}")
    revive(tmp_path, layout="{message}")
    assert (tmp_path / "app.log").read_text() == "".join(f"life {life} {i}\n" for life in range(3) for i in range(5))


def test_a_process_id_that_is_used_again_overwrites_nothing(tmp_path: Path) -> None:
    dies(tmp_path, "logger.info('theirs')")
    (left,) = spools(tmp_path)
    (tmp_path / left).rename(tmp_path / f"app.spool.{os.getpid()}")
    with Logger(LoggerConfig(spool=tmp_path / "app.spool")) as logger:
        assert spools(tmp_path) == [f"app.spool.{os.getpid()}", f"app.spool.{os.getpid()}.1"]
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
    assert (tmp_path / "app.log").read_text() == "theirs\n"
    assert spools(tmp_path) == []


def test_the_spool_of_a_process_that_lives_is_left_alone(tmp_path: Path) -> None:
    child = Child(tmp_path, "--threads", "1")
    try:
        (name,) = spools(tmp_path)
        inode = (tmp_path / name).stat().st_ino
        assert logly.spool.spools.open_dead(str(tmp_path / name)) is None
        assert revive(tmp_path, "other.log") == []
        assert (tmp_path / name).stat().st_ino == inode
        assert (tmp_path / "other.log").read_text() == ""
        result = run_recover(tmp_path / "app.spool")
        assert result.returncode == 1
        assert "its process lives" in result.stderr
    finally:
        child.kill()
    committed = child.committed()
    revive(tmp_path, layout="{message}")
    assert_each_once(tmp_path, "app.log", committed, threads=1)


def test_two_loggers_of_a_process_have_a_spool_each(tmp_path: Path) -> None:
    with (
        Logger(LoggerConfig(spool=tmp_path / "app.spool")) as first,
        Logger(LoggerConfig(spool=tmp_path / "app.spool")) as second,
    ):
        first.add_sink(SinkConfig(path=tmp_path / "first.log", format="{message}"))
        second.add_sink(SinkConfig(path=tmp_path / "second.log", format="{message}"))
        first.info("first")
        second.info("second")
        assert len(spools(tmp_path)) == 2
    assert (tmp_path / "first.log").read_text() == "first\n"
    assert (tmp_path / "second.log").read_text() == "second\n"
    assert spools(tmp_path) == []


@pytest.mark.parametrize("dies_too", [False, True])
def test_a_forked_child_has_a_spool_of_its_own(tmp_path: Path, dies_too: bool) -> None:
    child_end = "os._exit(0)" if dies_too else "logger.close(); os._exit(0)"
    program = f"""
logger.info("parent 0")
pid = os.fork()
if pid == 0:
    for i in range(5): logger.info("child {{}}", i)
    {child_end}
os.waitpid(pid, 0)
logger.info("parent 1")
"""
    dies(tmp_path, program)
    assert len(spools(tmp_path)) == (2 if dies_too else 1)
    revive(tmp_path, layout="{message}")
    assert spools(tmp_path) == []
    lines = [line.rpartition(" | ")[2] for line in (tmp_path / "app.log").read_text().splitlines()]
    assert sorted(lines) == sorted(["parent 0", "parent 1"] + [f"child {i}" for i in range(5)])


def test_a_forked_child_that_outlives_its_parent_does_not_hold_the_parents_spool(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.set_inheritable(read, True)
    program = f"""
logger.info("parent")
if os.fork() == 0:
    os.read({read}, 1)
    os._exit(0)
"""
    source_end = "os._exit(1)"
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, read)
        stack.callback(os.close, write)
        code = f"""
import os
from pathlib import Path
from logly import Logger, LoggerConfig, SinkConfig
os.close({write})
folder = Path({str(tmp_path)!r})
logger = Logger(LoggerConfig(spool=folder / "app.spool", async_flush_interval=3_600_000))
logger.add_sink(SinkConfig(path=folder / "app.log"))
{program}
{source_end}
"""
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, pass_fds=(read, write), timeout=60, check=False)
        until(lambda: revive(tmp_path, layout="{message}") == [] and spools(tmp_path) == [])
        assert (tmp_path / "app.log").read_text() == "parent\n"


# ---- an orderly life


def test_nothing_stays_behind_after_an_orderly_end(tmp_path: Path) -> None:
    program = (
        "from logly import Logger, LoggerConfig, SinkConfig\n"
        f"logger = Logger(LoggerConfig(spool={str(tmp_path / 'run' / 'app.spool')!r}))\n"
        f"logger.add_sink(SinkConfig(path={str(tmp_path / 'app.log')!r}, format='{{message}}'))\n"
        "for i in range(1000): logger.info('line {}', i)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)
    assert (tmp_path / "app.log").read_text() == "".join(f"line {i}\n" for i in range(1000))
    assert list((tmp_path / "run").iterdir()) == []


def test_a_small_ring_goes_round_many_times(tmp_path: Path) -> None:
    config = LoggerConfig(spool=tmp_path / "app.spool", async_buffer_size=4096, async_flush_interval=3_600_000)
    with Logger(config) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
        for i in range(50_000):
            logger.info("line {}", i)
        logger.info("large " + "x" * 100_000)
        assert logger.flush()
        stats = logger.stats()
        assert (stats.emitted, stats.written, stats.pending) == (50_001, 50_001, 0)
    lines = (tmp_path / "app.log").read_text().splitlines()
    assert lines[:-1] == [f"line {i}" for i in range(50_000)]
    assert len(lines[-1]) == 100_006


def test_close_removes_the_spool_and_later_calls_need_none(tmp_path: Path) -> None:
    logger = Logger(LoggerConfig(spool=tmp_path / "app.spool"))
    logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
    logger.info("before")
    assert logger.close()
    assert spools(tmp_path) == []
    logger.info("after")
    assert (tmp_path / "app.log").read_text() == "before\nafter\n"
    assert spools(tmp_path) == []


def test_the_spool_can_be_changed_while_records_wait(tmp_path: Path) -> None:
    config = LoggerConfig(async_flush_interval=3_600_000)
    with Logger(config) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
        count = 0
        for spool, size in ((None, 8192), ("a.spool", 8192), ("a.spool", 65536), ("b.spool", 65536), (None, 4096)):
            config.spool = tmp_path / spool if spool else None
            config.async_buffer_size = size
            logger.configure(config)
            for _ in range(300):
                logger.info("line {}", count)
                count += 1
        assert logger.flush()
        until(lambda: not list(tmp_path.glob("*.spool*")))
    assert (tmp_path / "app.log").read_text() == "".join(f"line {i}\n" for i in range(count))


def test_both_spools_of_a_change_are_recovered(tmp_path: Path) -> None:
    dies(
        tmp_path,
        """
for i in range(20): logger.info("line {}", i)
logger.configure(LoggerConfig(spool=folder / "app.spool", async_buffer_size=1 << 16, async_flush_interval=3_600_000))
for i in range(20, 40): logger.info("line {}", i)
""",
    )
    revive(tmp_path, layout="{message}")
    lines = [line.rpartition(" | ")[2] for line in (tmp_path / "app.log").read_text().splitlines()]
    assert lines == [f"line {i}" for i in range(40)]
    assert spools(tmp_path) == []


def test_a_full_disk_is_told_at_the_start(tmp_path: Path) -> None:
    with small_disk(tmp_path, "1m") as disk:
        with pytest.raises(SpoolError) as caught:
            Logger(LoggerConfig(spool=disk / "app.spool"))
        assert caught.value.errno == errno.ENOSPC
        assert list(disk.iterdir()) == []


def test_a_disk_that_fills_up_later_breaks_no_log_call(tmp_path: Path) -> None:
    with small_disk(tmp_path, "4m") as disk, Logger(LoggerConfig(spool=disk / "app.spool")) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
        with contextlib.suppress(OSError), (disk / "filler").open("wb") as filler:
            while True:
                filler.write(bytes(4096))
                filler.flush()
        expected = []
        for i in range(300):
            # Templates that are new, and cannot be noted in the spool any more.
            code = compile(f"logger.info('template {i} {{}}', {i})", f"file{i}.py", "exec")
            exec(code, {"logger": logger})
            expected.append(f"template {i} {i}")
        logger.info("x" * 1_000_000)
        assert logger.flush()
        lines = (tmp_path / "app.log").read_text().splitlines()
        assert lines[:300] == expected
        assert len(lines[300]) == 1_000_000
        (disk / "filler").unlink()


# ---- files that are no spool, or a damaged one


def leave_spool(folder: Path) -> Path:
    dies(folder, RICH + "for i in range(50): logger.info('line {} {:.2f}', i, i / 3, k=i)")
    (name,) = spools(folder)
    return folder / name


def poke(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_bytes(b""), "not a spool"),
        (lambda path: path.write_bytes(b"something else entirely" * 1000), "not a spool"),
        (lambda path: os.truncate(path, 100_000), "too short"),
        (lambda path: poke(path, 8, struct.pack("<I", 99)), "format 99"),
        (
            lambda path: poke(path, 8, struct.pack("<I", 3)),
            "format 3, this logly reads 4: recover it with the one that wrote",
        ),
        (lambda path: poke(path, 24, b"\xff" * 8), "checksum"),
        (lambda path: poke(path, 12, b"\xff"), "byte order"),
        (lambda path: poke(path, 65536 + 16 * 131072, bytes(8)), "impossible size"),
        (lambda path: poke(path, 65536 + 16 * 131072 + 7, b"\x80"), "record 0 is not one"),  # a flag of the future
        (lambda path: poke(path, 65536 + 16 * 131072 + 28, b"\xff\xff"), "record 0 is not one"),  # level -1
        (lambda path: poke(path, 65536 + 16 * 131072 + 30, b"\x01"), "record 0 is not one"),  # an unknown origin
        (lambda path: poke(path, 128, b"\x01"), "positions"),
    ],
)
def test_a_file_that_is_not_understood_is_told_and_left(
    tmp_path: Path, damage: Callable[[Path], object], words: str
) -> None:
    path = leave_spool(tmp_path)
    damage(path)
    before = path.read_bytes()[:65536]
    told = revive(tmp_path)
    assert [type(error) for error in told] == [SpoolError]
    assert words in str(told[0])
    assert str(path) in str(told[0])
    result = run_recover(path)
    assert result.returncode == 1
    assert words in result.stderr
    assert result.stdout == ""
    assert path.read_bytes()[:65536] == before
    assert (tmp_path / "app.log").read_text() == ""


def test_flipped_bytes_never_crash_the_reader(tmp_path: Path) -> None:
    """A clean error, or lines: never a crash. (What is inside a text is not checked, so a line may differ.)"""
    path = leave_spool(tmp_path)
    whole = path.read_bytes()
    ring = 65536 + 16 * 131072
    head = struct.unpack_from("<Q", whole, 128)[0]
    names = ring + (1 << 20)
    chance = random.Random(7)
    program = f"""
import random, sys
from pathlib import Path
import logly.control.recovery, logly.spool.spools
from logly import LoggerConfig, SinkConfig, SpoolError
whole = Path({str(tmp_path / "whole")!r}).read_bytes()
path = Path({str(path)!r})
chance = random.Random({chance.randrange(1 << 30)})
outcomes = [0, 0]
def nothing(record): str(record)
for _ in range(400):
    damaged = bytearray(whole)
    for _ in range(chance.choice((1, 1, 3, 20))):
        start, size = chance.choice(((72, 1200), ({ring}, {head}), ({ring}, {head}), ({names}, 4000)))
        damaged[min(start + chance.randrange(size), len(whole) - 1)] = chance.randrange(256)
    path.write_bytes(damaged)
    sinks = [SinkConfig(path={str(tmp_path / "fuzz.log")!r}).resolved(),
             SinkConfig(path={str(tmp_path / "fuzz.json")!r}, json=True).resolved(),
             SinkConfig(function=nothing).resolved()]
    try:
        file = logly.spool.spools.open_dead(str(path))
        assert file is not None
        logly.control.recovery.deliver(file, LoggerConfig(), sinks, 30.0, lambda error: None)
        outcomes[0] += 1
    except SpoolError:
        outcomes[1] += 1
    path.unlink(missing_ok=True)
print(*outcomes)
"""
    # The blob of the large record is far out: without it, the file is small enough to be copied often.
    (tmp_path / "whole").write_bytes(whole[: names + 65536])
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert result.returncode == 0, result.stderr
    delivered, refused = map(int, result.stdout.split())
    assert delivered + refused == 400
    assert refused > 0


def test_an_unfinished_spool_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / "app.spool.123.new").write_bytes(bytes(1000))
    assert revive(tmp_path) == []
    assert spools(tmp_path) == []


def test_a_spool_that_somebody_else_recovers_is_left_to_him(tmp_path: Path) -> None:
    path = leave_spool(tmp_path)
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert revive(tmp_path) == []
        assert path.exists()
    assert revive(tmp_path) == []
    assert not path.exists()


# ---- a write that was cut short


STAGED = b"".join(b"line %d of the batch\n" % i for i in range(200))


@pytest.mark.parametrize("written", [0, 1, 7, 100, 2048, len(STAGED) - 1, len(STAGED)])
def test_a_write_that_was_cut_short_is_finished(tmp_path: Path, written: int) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"before\n" + STAGED[:written])
    about = path.stat()
    done = logly.spool.unfinished_write.finish_write(str(path), about.st_dev, about.st_ino, 7, STAGED)
    assert done == (written > 0)
    assert path.read_bytes() == b"before\n" + (STAGED if written else b"")


def test_a_write_is_recognised_among_the_lines_of_other_processes(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"before\n" + b"line 0 of theirs\n" + STAGED + b"line 1 of theirs\n")
    about = path.stat()
    assert logly.spool.unfinished_write.finish_write(str(path), about.st_dev, about.st_ino, 7, STAGED)
    assert path.read_bytes().count(b"batch") == 200
    path.write_bytes(b"before\n" + b"line 0 of theirs\nline 1 of theirs\n")
    assert not logly.spool.unfinished_write.finish_write(str(path), about.st_dev, about.st_ino, 7, STAGED)


def test_a_write_is_recognised_in_a_file_that_was_rotated_since(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(STAGED[:100])
    about = path.stat()
    path.rename(tmp_path / "app.log.1")
    path.write_bytes(b"")
    assert logly.spool.unfinished_write.finish_write(str(path), about.st_dev, about.st_ino, 0, STAGED)
    assert (tmp_path / "app.log.1").read_bytes() == STAGED
    (tmp_path / "app.log.1").unlink()
    assert not logly.spool.unfinished_write.finish_write(str(path), about.st_dev, about.st_ino + 1_000_000, 0, STAGED)


# ---- the command


def run_recover(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "logly", "recover", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_recover_prints_what_was_left_and_removes_it(tmp_path: Path) -> None:
    dies(tmp_path, "for i in range(5): logger.info('line {}', i)")
    result = run_recover(tmp_path / "app.spool", "--format", "{message}")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "".join(f"line {i}\n" for i in range(5))
    assert spools(tmp_path) == []
    assert run_recover(tmp_path / "app.spool").returncode == 1


def test_recover_prints_only_what_the_file_lacks(tmp_path: Path) -> None:
    dies(tmp_path, "logger.info('written'); logger.flush(); logger.info('left')")
    result = run_recover(tmp_path / spools(tmp_path)[0], "--format", "{message}")
    assert result.stdout == "left\n"
    assert "written" in (tmp_path / "app.log").read_text()


def test_recover_appends(tmp_path: Path) -> None:
    dies(tmp_path, "logger.info('written'); logger.flush(); logger.info('left {}', 1, key='value')")
    assert run_recover(tmp_path / "app.spool", "--append", tmp_path / "app.log", "--json").returncode == 0
    first, second = (tmp_path / "app.log").read_text().splitlines()
    assert first.endswith("written")
    record = json.loads(second)
    assert (record["message"], record["key"], record["level"]) == ("left 1", "value", "INFO")


def test_recover_keeps_the_spool_when_nobody_takes_the_lines(tmp_path: Path) -> None:
    dies(tmp_path, "for i in range(5): logger.info('line {}', i)")
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "logly", "recover", str(tmp_path / "app.spool"), "--timeout", "0.2"]
        result = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert result.returncode == 1
    assert "the spool stays" in result.stderr
    assert run_recover(tmp_path / "app.spool", "--format", "{message}").stdout == "".join(
        f"line {i}\n" for i in range(5)
    )
