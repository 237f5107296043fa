"""`spool_fsync`: what was in the spool for some milliseconds survives the loss of power, too.

The loss is made up (see power.c): what a sync had returned for is on the disk; what changed since is there or not, by
blocks of 512 bytes; a file that grew may be cut anywhere, and may end in zeros.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import struct
from collections import defaultdict
from pathlib import Path

import pytest

import logly.spool.spools
from logly import ConfigError, Logger, LoggerConfig, SinkConfig, SpoolError
from tests.support import ROOT
from tests.support.preloads import compiled
from tests.support.programs import environment, run_program
from tests.support.spool_child import COUNTERS
from tests.support.spooling import Child, dies, poke, revive, run_recover, spools
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(not logly.spool.spools.boot_id(), reason="spool_fsync is not available here")

BLOCK = 512
SYNCED_OFFSET, SYNCED_APART = 57344, 4096


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(ROOT / "tests" / "support" / "power.c", tmp_path_factory.mktemp("power"))


@pytest.fixture
def disk(shim: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the processes that are started from now on keep what their disk has."""
    folder = tmp_path / "disk"
    folder.mkdir()
    monkeypatch.setenv("LD_PRELOAD", str(shim))
    monkeypatch.setenv("POWER_DISK", str(folder))
    monkeypatch.setenv("POWER_PROGRESS", str(tmp_path / "progress"))
    return folder


@pytest.fixture
def restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine has been started again."""
    monkeypatch.setattr(logly.spool.spools, "boot_id", lambda: 77)


# ---- the order


def events(disk: Path) -> list[list[str]]:
    return [line.split() for line in (disk / "events").read_text().splitlines()]


def test_what_was_logged_is_on_the_disk_before_the_spool_gives_it_up(tmp_path: Path, disk: Path) -> None:
    program = """
import time
logger.close()
logger = Logger(LoggerConfig(spool=folder / "app.spool", spool_fsync=5))
logger.add_sink(SinkConfig(path=folder / "app.log"))
logger.info("a line")
logger.flush()
spool = next(folder.glob("app.spool.*"))
def released():
    with spool.open("rb") as file:
        file.seek(256)
        return int.from_bytes(file.read(8), "little")  # positions.tail
while not released():
    time.sleep(0.001)
"""
    dies(tmp_path, program)
    log = str((tmp_path / "app.log").stat().st_ino)
    spool = str((tmp_path / spools(tmp_path)[0]).stat().st_ino)
    told = [event[:2] for event in events(disk)]
    # Whole and with a name before the first record.
    assert told.index(["sync", spool]) < told.index(["write", log])
    after = told[told.index(["write", log]) :]
    assert ["sync", log] in after
    synced = after[after.index(["sync", log]) :]
    assert synced[:3] == [["sync", log], ["sync", spool], ["header", spool]]


def test_a_log_file_whose_descriptor_was_closed_is_synced_by_its_name(tmp_path: Path, disk: Path) -> None:
    # The number is a stranger's file by then, which is not synced in its place.
    program = """
import time
logger.close()
told = []
logger = Logger(LoggerConfig(spool=folder / "app.spool", spool_fsync=200, on_error=told.append))
logger.add_sink(SinkConfig(path=folder / "app.log"))
logger.info("a line")
logger.flush()
log = (folder / "app.log").stat().st_ino
(number,) = [fd for fd in logger.filenos() if os.fstat(fd).st_ino == log]
os.dup2(os.open(folder / "stranger", os.O_RDWR | os.O_CREAT), number)
spool = next(folder.glob("app.spool.*"))
def released():
    with spool.open("rb") as file:
        file.seek(256)
        return int.from_bytes(file.read(8), "little")  # positions.tail
assert not released()
while not released():
    time.sleep(0.001)
assert told == [], told
"""
    dies(tmp_path, program)
    log = str((tmp_path / "app.log").stat().st_ino)
    stranger = str((tmp_path / "stranger").stat().st_ino)
    told = [event[:2] for event in events(disk)]
    assert ["sync", log] in told[told.index(["write", log]) :]
    assert ["sync", stranger] not in told


def test_nothing_is_synced_while_nothing_is_logged(tmp_path: Path, disk: Path) -> None:
    program = """
import time
logger.close()
logger = Logger(LoggerConfig(spool=folder / "app.spool", spool_fsync=1, async_flush_interval=1))
logger.add_sink(SinkConfig(path=folder / "app.log"))
logger.info("a line")
time.sleep(0.5)
"""
    dies(tmp_path, program)
    assert 1 <= [event[0] for event in events(disk)].count("header") <= 3


def test_without_the_setting_nothing_is_synced(tmp_path: Path, disk: Path) -> None:
    dies(tmp_path, "logger.info('a line'); logger.flush()")
    assert {event[0] for event in events(disk)} == {"write"}


# ---- the loss


def lose_power(folder: Path, disk: Path, chance: random.Random) -> None:
    for path in [*folder.glob("app*.log"), *folder.glob("app.spool.*")]:
        now = path.read_bytes() if path.suffix == ".log" else read_spool(path)
        kept = disk / str(path.stat().st_ino)
        before = b""
        if kept.exists():
            before = kept.read_bytes() if path.suffix == ".log" else read_spool(kept)
        if path.suffix == ".log":
            content = now[: chance.randrange(len(before), len(now) + 1)]
            if len(content) > len(before) and chance.random() < 0.3:
                zeros = chance.randrange(min(4096, len(content) - len(before)) + 1)
                content = content[: len(content) - zeros] + bytes(zeros)
            path.write_bytes(content)
            continue
        blocks = []
        for at in range(0, len(now), BLOCK):
            blocks.append(chance.choice((now, before.ljust(len(now), b"\0")))[at : at + BLOCK])
        with path.open("r+b") as file:
            file.write(b"".join(blocks))


def read_spool(path: Path) -> bytes:
    """Without the blobs, which are far out and never change."""
    with path.open("rb") as file:
        return file.read(4 << 20)


OPTIONS = [
    pytest.param((), id="one-file"),
    pytest.param(("--ring", "16384", "--interval", "1"), id="small-ring"),
    pytest.param(("--sink", "app.log", "--sink", "app2.log", "--interval", "5"), id="two-files"),
    pytest.param(("--size-limit", "200000"), id="rotating"),
    pytest.param(("--sync", "--threads", "2"), id="synchronous"),
]


def run_loss(folder: Path, disk: Path, options: tuple[str, ...], seed: int) -> None:
    chance = random.Random(seed)
    child = Child(folder, "--fsync", str(chance.choice((1, 5, 20))), *options)
    child.kill_after(chance.randrange(2_000 if "--sync" in options else 60_000))
    promised = (
        struct.unpack(f"<{COUNTERS}Q", (disk / "promised").read_bytes()) if (disk / "promised").exists() else (0,)
    )
    lose_power(folder, disk, chance)
    limit = {"size_limit": 200_000} if "--size-limit" in options else {}
    names = ("app.log", "app2.log") if "app2.log" in options else ("app.log",)
    assert revive(folder, *names, layout="{message}", **limit) == []
    assert spools(folder) == []
    for name in names:
        seen: dict[int, set[int]] = defaultdict(set)
        strange = 0
        pattern = name if name == "app2.log" or "app2.log" in options else "app*.log"
        for path in folder.glob(pattern):
            for line in path.read_bytes().split(b"\n"):
                if found := re.fullmatch(rb"r (\d+) (\d+) (\d+\.\d{3})", line):
                    seen[int(found[1])].add(int(found[2]))
                    # Torn at its end it could be a shorter number.
                    strange += found[3] != b"%.3f" % (int(found[2]) / 7)
                else:
                    strange += line != b""
        for number, count in enumerate(promised):
            assert set(range(count)) <= seen[number]
        assert strange <= len(list(folder.glob(pattern)))


@pytest.mark.usefixtures("restarted")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("options", OPTIONS)
def test_what_was_synced_is_there_after_the_loss_of_power(
    tmp_path: Path, disk: Path, options: tuple[str, ...], seed: int
) -> None:
    run_loss(tmp_path, disk, options, seed)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("restarted")
@pytest.mark.parametrize("options", OPTIONS)
def test_what_was_synced_is_there_after_100_losses_of_power_each(
    tmp_path: Path, disk: Path, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(100):
        folder = tmp_path / str(seed)
        (folder / "disk").mkdir(parents=True)
        monkeypatch.setenv("POWER_DISK", str(folder / "disk"))
        monkeypatch.setenv("POWER_PROGRESS", str(folder / "progress"))
        run_loss(folder, folder / "disk", options, 1000 + seed)
        shutil.rmtree(folder)


# ---- after a start of the machine


SYNCED = """
import time
logger.close()
logger = Logger(LoggerConfig(spool=folder / "app.spool", spool_fsync=1, async_flush_interval=3_600_000))
logger.add_sink(SinkConfig(path=folder / "app.log", format="{message}", buffer_size=1 << 26))
for i in range(20): logger.info("line {}", i, i=i)
logger.info("x" * 1_500_000)
spool = next(folder.glob("app.spool.*"))
def is_synced():
    with spool.open("rb") as file:
        header = file.read(65536)
    return header[128:136] in (header[57352:57360], header[61448:61456])
while not is_synced():
    time.sleep(0.001)
"""


def leave_synced(folder: Path) -> Path:
    dies(folder, SYNCED)
    assert (folder / "app.log").read_bytes() == b""
    return folder / spools(folder)[0]


def expected() -> list[str]:
    return [*[f"line {i}" for i in range(20)], "x" * 1_500_000]


@pytest.mark.usefixtures("restarted")
def test_the_rest_of_the_header_does_not_count_after_a_start_of_the_machine(tmp_path: Path) -> None:
    path = leave_synced(tmp_path)
    garbage = random.Random(1).randbytes(57344 - 128)
    whole = path.read_bytes()[:57344]
    # All but the fixed part, and the id of the start, which never changes.
    boot = struct.pack("<Q", logly._core.DeadSpool(str(path), os.open(path, os.O_RDWR), 0, 77).boot)
    at = whole.rindex(boot)
    poke(path, 128, garbage[: at - 128])
    assert revive(tmp_path, layout="{message}") == []
    assert (tmp_path / "app.log").read_text().splitlines() == expected()


@pytest.mark.usefixtures("restarted")
def test_a_copy_that_is_not_whole_does_not_count(tmp_path: Path) -> None:
    path = leave_synced(tmp_path)
    data = path.read_bytes()[SYNCED_OFFSET : SYNCED_OFFSET + 2 * SYNCED_APART]
    generations = [struct.unpack_from("<Q", data, at)[0] for at in (0, SYNCED_APART)]
    older = generations.index(min(generations))
    poke(path, SYNCED_OFFSET + older * SYNCED_APART, struct.pack("<QQ", max(generations) + 1, 1 << 40))
    assert revive(tmp_path, layout="{message}") == []
    assert (tmp_path / "app.log").read_text().splitlines() == expected()


@pytest.mark.usefixtures("restarted")
def test_with_no_whole_copy_the_spool_is_told_and_left(tmp_path: Path) -> None:
    path = leave_synced(tmp_path)
    for copy in range(2):
        poke(path, SYNCED_OFFSET + copy * SYNCED_APART, bytes(8))
    (told,) = revive(tmp_path)
    assert isinstance(told, SpoolError)
    assert "started again" in str(told)
    assert path.exists()


def test_while_the_machine_runs_on_every_record_counts(tmp_path: Path) -> None:
    dies(tmp_path, SYNCED.replace("fsync=1,", "fsync=3_600_000,").partition("spool =")[0])
    assert revive(tmp_path, layout="{message}") == []
    assert (tmp_path / "app.log").read_text().splitlines() == expected()


@pytest.mark.parametrize("after", [77, 99], ids=["same-start", "power-lost-again"])
def test_a_recovery_that_is_killed_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    path = leave_synced(tmp_path)
    # It has taken the spool over, and written nothing yet.
    program = f"""
import os
import logly.control.flusher_thread, logly.spool.spools
from tests.support.spooling import revive
from pathlib import Path
logly.spool.spools.boot_id = lambda: 77
logly.control.flusher_thread.Flusher.start = lambda self: os._exit(9)
revive(Path({str(tmp_path)!r}))
"""
    run_program(program, returncode=9)
    assert path.exists()
    monkeypatch.setattr(logly.spool.spools, "boot_id", lambda: after)
    assert revive(tmp_path, layout="{message}") == []
    assert (tmp_path / "app.log").read_text().splitlines() == expected()


def test_the_command_recovers_what_was_synced(tmp_path: Path) -> None:
    path = leave_synced(tmp_path)
    result = run_recover(path, "--format", "{message}")
    assert result.stdout.splitlines() == expected()


# ---- trouble, and settings


def test_a_sync_that_fails_is_told_and_nobody_waits_for_it(tmp_path: Path) -> None:
    source = tmp_path / "fails.c"
    source.write_text("#include <errno.h>\nint fdatasync(int fd) { errno = EIO; return -1; }\n")
    library = compiled(source, tmp_path)
    program = f"""
from logly import Logger, LoggerConfig, SinkConfig
told = []
logger = Logger(LoggerConfig(spool={str(tmp_path / "app.spool")!r}, spool_fsync=1, on_error=told.append,
                             async_buffer_size=8192))
logger.add_sink(SinkConfig(path={str(tmp_path / "app.log")!r}, format="{{message}}"))
for i in range(5000):
    logger.info("line {{}}", i)
logger.close()
assert {{error.errno for error in told}} == {{5}}, told
assert "spool_fsync" in str(told[0])
assert len(told) < 5, told
"""
    run_program(program, env=environment(LD_PRELOAD=str(library)))
    assert (tmp_path / "app.log").read_text() == "".join(f"line {i}\n" for i in range(5000))
    assert spools(tmp_path) == []


def test_it_needs_a_spool() -> None:
    with pytest.raises(ConfigError, match="needs a spool"):
        Logger(LoggerConfig(spool_fsync=100))


def test_it_needs_to_know_the_starts_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logly.spool.spools, "boot_id", lambda: 0)
    with pytest.raises(ConfigError, match="spool_fsync"):
        Logger(LoggerConfig(spool=tmp_path / "app.spool", spool_fsync=100))
    assert spools(tmp_path) == []


def test_it_can_be_changed_while_records_wait(tmp_path: Path) -> None:
    config = LoggerConfig(spool=tmp_path / "app.spool", async_flush_interval=3_600_000)
    with Logger(config) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
        count = 0
        for interval in (None, 1000, 1, None, 5):
            config.spool_fsync = interval
            logger.configure(config)
            for _ in range(300):
                logger.info("line {}", count)
                count += 1
        assert logger.flush()
        wait_until(lambda: len(spools(tmp_path)) == 1, "the spools before to go")
    assert (tmp_path / "app.log").read_text() == "".join(f"line {i}\n" for i in range(count))
    assert spools(tmp_path) == []


def test_a_forked_child_syncs_its_own(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    with Logger(LoggerConfig(spool=tmp_path / "app.spool", spool_fsync=1)) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
        for i in range(20):
            for j in range(50):
                logger.info("parent {} {}", i, j)
            pid = os.fork()
            if pid == 0:
                logger.info("child {}", i)
                logger.close()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
    lines = (tmp_path / "app.log").read_text().splitlines()
    assert sorted(lines) == sorted(
        [f"parent {i} {j}" for i in range(20) for j in range(50)] + [f"child {i}" for i in range(20)]
    )
    assert spools(tmp_path) == []
    assert len(os.listdir("/proc/self/fd")) == len(before)
