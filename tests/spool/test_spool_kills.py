"""What a process had logged is in the files exactly once, however it was killed."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from tests.support.programs import start_program
from tests.support.spool_child import COUNTERS
from tests.support.spooling import Child, assert_each_once, dies, revive, spin_until, spools

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
        process = start_program(program, says="ready")
        assert process.stdout is not None
        goal = (tmp_path / "app.log").stat().st_size + chance.randrange(60_000)
        spin_until(lambda g=goal, p=process: (tmp_path / "app.log").stat().st_size > g or p.poll() is not None)
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
