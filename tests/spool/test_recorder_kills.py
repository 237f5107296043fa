"""What a flight recorder had kept is in the files exactly once, however its process was killed."""

from __future__ import annotations

import random
import re
import struct
from collections import Counter, defaultdict
from pathlib import Path

import pytest

import logly.spool.spools
from logly import Logger, LoggerConfig, SinkConfig
from tests.support.programs import start_program, start_python
from tests.support.recorder_child import KEPT, LOST
from tests.support.spool_child import COUNTERS
from tests.support.spooling import Child, run_recover, spin_until, spools

HEADING = re.compile(r"logly: (\d+) records? of the flight recorder of process (\d+), which died after \S+Z")
REASON = re.compile(r"logly: (\d+) records? of the flight recorder: asked")


class RecorderChild(Child):
    """A process that logs at full speed, with a flight recorder (see recorder_child.py)."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        (folder / "progress").write_bytes(bytes(8 * COUNTERS))
        self.process = start_python("-m", "tests.support.recorder_child", folder, *options, says="running")

    def counts(self) -> tuple[int, ...]:
        return struct.unpack(f"<{COUNTERS}Q", (self.folder / "progress").read_bytes())

    def kill_when(self, calls: int) -> tuple[int, ...]:
        """SIGKILL once so many calls have returned."""
        spin_until(lambda: sum(self.counts()[:LOST]) >= calls)
        self.kill()
        return self.counts()


def revived(folder: Path, *names: str, recorder: str | None = "debug", **settings: object) -> None:
    told: list[Exception] = []
    field = {"recorder_field": settings.pop("field", None)}
    config = LoggerConfig(spool=folder / "app.spool", on_error=told.append, recorder=recorder, **field)
    with Logger(config) as logger:
        for name in names or ("app.log",):
            logger.add_sink(SinkConfig(path=folder / name, format="{message}", **settings))
        assert logger.flush()
    assert told == []
    assert spools(folder) == []


class Seen:
    """The lines of one sink, in order, by thread: written ones, kept ones."""

    def __init__(self, lines: list[str], *, threads: int = 4) -> None:
        self.threads = threads
        self.written: dict[int, list[int]] = defaultdict(list)
        self.kept: dict[int, list[int]] = defaultdict(list)
        self.headings: list[tuple[int, int]] = []
        self.left: list[tuple[int, int]] = []
        """The kept ones behind the heading."""
        self.errors: list[tuple[int, int, int]] = []
        """(thread, how many kept calls came before, how many of its kept ones are before it in the file)"""
        self.sequence = lines
        for line in lines:
            self.see(line)

    def see(self, line: str) -> None:
        if told := HEADING.fullmatch(line):
            self.headings.append((int(told[1]), int(told[2])))
            return
        if REASON.fullmatch(line) or line.startswith("logly: "):
            assert REASON.fullmatch(line) or "were for the flight recorder, and the ring was full" in line, line
            return
        is_kept = line.startswith("[recorder] k ")
        kind, thread, count, other, *more = line.removeprefix("[recorder] ").split(" ")
        assert kind == ("k" if is_kept else "r"), line
        assert all(not text.strip("x") or text == "error" for text in more), line[:100]
        number = int(thread)
        if is_kept:
            assert len(more) == 1
            assert len(more[0]) in (0, 140_000)
            self.kept[number].append(int(count))
            if self.headings:
                self.left.append((number, int(count)))
        else:
            assert not self.headings, f"{line} behind what was kept"
            self.written[number].append(int(count))
            if "error" in more:
                self.errors.append((number, int(other), len(self.kept[number])))

    def check_written(self, counts: tuple[int, ...]) -> None:
        """All written ones are there once, in order."""
        for number in range(self.threads):
            seen = self.written[number]
            assert seen == list(range(len(seen)))
            assert counts[number] <= len(seen) <= counts[number] + 1

    def check_kept(self, counts: tuple[int, ...]) -> None:
        """No kept one is there twice, and they are in order."""
        for number in range(self.threads):
            seen = self.kept[number]
            assert [count for count, times in Counter(seen).items() if times > 1] == []
            assert seen == sorted(seen)
            assert not seen or seen[-1] <= counts[KEPT + number]
        assert len(self.headings) <= 1
        assert (self.headings[0][0] if self.headings else 0) == len(self.left)

    def check_all_kept(self, counts: tuple[int, ...], *, triggers: bool = True) -> None:
        """Where none was overwritten: all kept ones are there, those before an error before it."""
        assert counts[LOST] == 0, "the child was to be paced so that nothing is overwritten"
        for number in range(self.threads):
            seen = self.kept[number]
            assert seen == list(range(len(seen)))
            assert counts[KEPT + number] <= len(seen) <= counts[KEPT + number] + 1
        if triggers:
            for _, logged, there in self.errors:
                assert there == logged


def lines_of(path: Path) -> list[str]:
    text = path.read_text()
    assert not text or text.endswith("\n")
    return text.splitlines()


PACED = ("--pace", "300", "--kept", "10", "--trigger-every", "20", "--ring", str(1 << 22))
TWO = ("--sink", "app.log", "--sink", "second.log")
EXACT = [
    pytest.param(PACED, id="one-file"),
    pytest.param((*PACED, *TWO), id="two-files"),
    pytest.param((*PACED, *TWO, "--field", "request"), id="field"),
    pytest.param((*PACED, *TWO, "--dump"), id="asked"),
    pytest.param((*PACED, "--dump", "--reason"), id="asked-with-reason"),
    pytest.param((*PACED, *TWO, "--large", "100", "--ring", str(1 << 23), "--recorder", str(1 << 24)), id="large"),
    pytest.param((*PACED, "--trigger-every", "1", "--kept", "2", *TWO), id="each-one-triggers"),
    pytest.param((*PACED, "--kept", "5", "--sync", "--threads", "2"), id="synchronous"),
    pytest.param(
        (*PACED, *TWO, "--fsync", "5"),
        id="synced",
        marks=pytest.mark.skipif(not logly.spool.spools.boot_id(), reason="spool_fsync is not available here"),
    ),
]


def threads_of(options: tuple[str, ...]) -> int:
    return int(options[options.index("--threads") + 1]) if "--threads" in options else 4


def run_exact(folder: Path, options: tuple[str, ...], seed: int) -> None:
    chance = random.Random(seed)
    names = ("app.log", "second.log") if "second.log" in options else ("app.log",)
    counts = RecorderChild(folder, *options).kill_when(chance.randrange(1, 2_000 if "--sync" in options else 20_000))
    knows = chance.random() < 0.7
    field = "request" if "--field" in options else None
    revived(folder, *names, recorder="debug" if knows else None, field=field)
    for name in names:
        seen = Seen(lines_of(folder / name), threads=threads_of(options))
        seen.check_written(counts)
        seen.check_kept(counts)
        seen.check_all_kept(counts, triggers=knows)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("options", EXACT)
def test_all_that_was_kept_is_there_once_after_sigkill(tmp_path: Path, options: tuple[str, ...], seed: int) -> None:
    run_exact(tmp_path, options, seed)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("options", EXACT)
def test_all_that_was_kept_is_there_once_after_40_kills_each(tmp_path: Path, options: tuple[str, ...]) -> None:
    for seed in range(40):
        folder = tmp_path / str(seed)
        folder.mkdir()
        run_exact(folder, options, 1000 + seed)


SMALL = [
    pytest.param(("--ring", "8192", "--recorder", "4096", "--interval", "1", "--trigger-every", "50"), id="small"),
    pytest.param(("--ring", "8192", "--recorder", "4096", "--trigger-every", "7", "--dump", *TWO), id="small-asked"),
    pytest.param(("--trigger-every", "1000", *TWO), id="full-speed"),
    pytest.param(("--trigger-every", "100", "--size-limit", "200000"), id="rotating"),
    pytest.param(("--large", "20", "--recorder", str(1 << 17), "--trigger-every", "100", *TWO), id="large"),
    pytest.param(("--large", "3", "--ring", "65536", "--recorder", str(1 << 18)), id="large-without-errors"),
    pytest.param(("--field", "request", "--recorder", "65536", "--trigger-every", "30", *TWO), id="field"),
]


def run_small(folder: Path, options: tuple[str, ...], seed: int) -> None:
    chance = random.Random(seed)
    names = ("app.log", "second.log") if "second.log" in options else ("app.log",)
    limit = {"size_limit": 200_000} if "--size-limit" in options else {}
    counts = RecorderChild(folder, *options).kill_when(chance.randrange(1, 100_000))
    revived(folder, *names, recorder="debug" if chance.random() < 0.7 else None, **limit)
    for name in names:
        if limit:
            check_rotated(folder, counts)
        else:
            seen = Seen(lines_of(folder / name))
            seen.check_written(counts)
            seen.check_kept(counts)


def check_rotated(folder: Path, counts: tuple[int, ...]) -> None:
    """The order of the files is not looked at here."""
    written: dict[int, list[int]] = defaultdict(list)
    kept: dict[int, list[int]] = defaultdict(list)
    headings = 0
    for path in folder.glob("app*.log"):
        for line in lines_of(path):
            if line.startswith("logly: "):
                headings += "died" in line
                continue
            kind, thread, count, *_ = line.removeprefix("[recorder] ").split(" ")
            (kept if kind == "k" else written)[int(thread)].append(int(count))
    for number in range(4):
        assert sorted(written[number]) == list(range(len(written[number])))
        assert counts[number] <= len(written[number]) <= counts[number] + 1
        assert len(set(kept[number])) == len(kept[number])
    assert headings <= 1


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("options", SMALL)
def test_nothing_is_there_twice_after_sigkill(tmp_path: Path, options: tuple[str, ...], seed: int) -> None:
    run_small(tmp_path, options, seed)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("options", SMALL)
def test_nothing_is_there_twice_after_40_kills_each(tmp_path: Path, options: tuple[str, ...]) -> None:
    for seed in range(40):
        folder = tmp_path / str(seed)
        folder.mkdir()
        run_small(folder, options, 1000 + seed)


@pytest.mark.parametrize("seed", range(4))
def test_the_last_kept_ones_are_there_where_the_recorder_is_small(tmp_path: Path, seed: int) -> None:
    """What is missing was logged before them. The recorder has 32 KiB, a record some 130 bytes."""
    options = ("--pace", "200", "--recorder", "32768", "--kept", "10")
    counts = RecorderChild(tmp_path, *options).kill_when(random.Random(seed).randrange(5_000, 30_000))
    revived(tmp_path)
    seen = Seen(lines_of(tmp_path / "app.log"))
    seen.check_written(counts)
    seen.check_kept(counts)
    for number in range(4):
        if seen.kept[number]:
            first = seen.kept[number][0]
            assert seen.kept[number] == list(range(first, first + len(seen.kept[number])))
            assert counts[KEPT + number] <= first + len(seen.kept[number])
    assert len(seen.left) > 150


# ---- a successor that is killed

RECOVER = """
from logly import Logger, LoggerConfig, SinkConfig
logger = Logger(LoggerConfig(spool={spool!r}, recorder={recorder!r}))
for path in {paths!r}:
    logger.add_sink(SinkConfig(path=path, format="{{message}}", buffer_size=256 if "second" in path else 4096))
print("ready", flush=True)
logger.flush()
"""


@pytest.mark.parametrize("seed", range(6))
def test_a_recovery_that_is_killed_is_taken_up_by_the_next(tmp_path: Path, seed: int) -> None:
    run_killed_recoveries(tmp_path, seed)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_a_recovery_that_is_killed_is_taken_up_by_the_next_60_times(tmp_path: Path) -> None:
    for seed in range(60):
        folder = tmp_path / str(seed)
        folder.mkdir()
        run_killed_recoveries(folder, 1000 + seed)


def run_killed_recoveries(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    options = ("--pace", "10000", "--calls", "60", "--interval", "3600000", "--kept", "20", *TWO)
    if chance.random() < 0.5:
        options += ("--trigger-every", "40")
    counts = RecorderChild(folder, *options).kill_when(chance.randrange(2_000, 5_000))
    paths = [str(folder / "app.log"), str(folder / "second.log")]
    logs = [Path(path) for path in paths]

    def size() -> int:
        return sum(log.stat().st_size for log in logs if log.exists())

    for _ in range(4):
        recorder = chance.choice(("debug", None))
        process = start_program(
            RECOVER.format(spool=str(folder / "app.spool"), paths=paths, recorder=recorder), says="ready"
        )
        assert process.stdout is not None
        goal = size() + chance.randrange(140_000)
        spin_until(lambda g=goal, p=process: size() > g or p.poll() is not None)
        process.kill()
        process.wait()
        process.stdout.close()
    revived(folder, "app.log", "second.log", recorder=None)
    for log in logs:
        seen = Seen(lines_of(log))
        seen.check_written(counts)
        seen.check_kept(counts)
        seen.check_all_kept(counts, triggers=False)
        assert len(seen.headings) == (1 if seen.left else 0)


def append(folder: Path, *options: str) -> None:
    run_recover(folder / "app.spool", "--append", folder / "app.log", "--format", "{message}", *options)


@pytest.mark.parametrize("seed", range(4))
def test_the_command_that_is_killed_is_taken_up_by_the_next(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    options = ("--pace", "10000", "--calls", "60", "--interval", "3600000", "--kept", "20")
    counts = RecorderChild(tmp_path, *options).kill_when(chance.randrange(2_000, 5_000))
    log = tmp_path / "app.log"
    for _ in range(4):
        more = ("--recorder",) if chance.random() < 0.7 else ()
        before = log.stat().st_size
        process = start_python(
            "-m", "logly", "recover", tmp_path / "app.spool", "--append", log, "--format", "{message}", *more
        )
        goal = before + chance.randrange(20_000)
        spin_until(lambda g=goal, p=process: log.stat().st_size > g or p.poll() is not None)
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
    if spools(tmp_path):
        append(tmp_path, "--recorder")
    assert spools(tmp_path) == []
    seen = Seen(lines_of(log))
    seen.check_written(counts)
    seen.check_kept(counts)
    seen.check_all_kept(counts)
    assert len(seen.headings) == 1


def test_without_the_option_the_command_leaves_what_was_kept(tmp_path: Path) -> None:
    counts = RecorderChild(tmp_path, "--pace", "10000", "--calls", "200", "--interval", "3600000").kill_when(2_000)
    for _ in range(2):  # the second time there is nothing
        append(tmp_path)
        seen = Seen(lines_of(tmp_path / "app.log"))
        seen.check_written(counts)
        assert not any(seen.kept.values())
        assert len(spools(tmp_path)) == 1
    append(tmp_path, "--recorder")
    assert spools(tmp_path) == []
    seen = Seen(lines_of(tmp_path / "app.log"))
    seen.check_written(counts)
    seen.check_kept(counts)
    seen.check_all_kept(counts)


def test_printing_changes_nothing(tmp_path: Path) -> None:
    options = (*PACED, "--large", "100", "--ring", str(1 << 23), "--recorder", str(1 << 24))
    counts = RecorderChild(tmp_path, *options).kill_when(3_000)
    path = tmp_path / spools(tmp_path)[0]
    before = pages(path)
    for options in ((), ("--recorder",)):
        done = run_recover(path, "--format", "{message}", *options)
        assert pages(path) == before
        assert bool(HEADING.search(done.stdout)) == bool(options)
        assert "of its flight recorder)" in done.stderr or not options
    revived(tmp_path)
    seen = Seen(lines_of(tmp_path / "app.log"))
    seen.check_written(counts)
    seen.check_kept(counts)
    seen.check_all_kept(counts)


def pages(path: Path) -> list[tuple[int, bytes]]:
    from tests.fuzz.spools import data_pages

    return data_pages(path)
