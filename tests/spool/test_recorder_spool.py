"""What the flight recorder has in a spool's file: after a death, a fork, new settings; damaged, or without power."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

import logly.spool.spools
from logly import Logger, LoggerConfig, SinkConfig, SpoolError
from tests.support.programs import run_program
from tests.support.spooling import RING, poke, run_recover, spools

PROGRAM = """
import os, sys
from pathlib import Path
from logly import Logger, LoggerConfig, SinkConfig
from tests.support.waiting import wait_until
folder = Path(sys.argv[1])
def make(**settings):
    # The flusher takes records at once; the sinks write an hour later.
    settings = dict(recorder="debug", async_flush_interval=1, flush_level=None, spool=folder / "app.spool") | settings
    return Logger(LoggerConfig(**settings), name="dead")
def add(logger, name="app.log", **settings):
    settings = dict(format="{message}", buffer_size=1 << 26, flush_interval=3_600_000) | settings
    return logger.add_sink(SinkConfig(path=folder / name, **settings))
def kept(logger, count):
    wait_until(lambda: logger.stats().kept == count)
"""


def leave(folder: Path, program: str) -> None:
    """Runs a program with a flight recorder that dies at its end."""
    run_program(PROGRAM + program + "\nos._exit(9)\n", folder, returncode=9)  # 1 is that of an exception


def take(folder: Path, *names: str, recorder: str | None = None, **settings: object) -> list[Exception]:
    """The next start; what `on_error` was told."""
    told: list[Exception] = []
    config = LoggerConfig(spool=folder / "app.spool", on_error=told.append, recorder=recorder, **settings)
    with Logger(config) as logger:
        for name in names or ("app.log",):
            logger.add_sink(SinkConfig(path=folder / name, format="{message}"))
        assert logger.flush()
    return told


def lines(folder: Path, name: str = "app.log") -> list[str]:
    """Without the mark of kept records; a heading as its number of records."""
    found = []
    for line in (folder / name).read_text().splitlines():
        text = line.removeprefix("[recorder] ")
        found.append(text.split()[1] + " left" if " of the flight recorder of process " in text else text)
    return found


def test_what_was_kept_comes_last_under_one_line(tmp_path: Path) -> None:
    leave(
        tmp_path,
        "logger = make(); add(logger); logger.debug('a'); logger.info('b'); logger.debug('c'); kept(logger, 2)",
    )
    assert take(tmp_path) == []
    assert lines(tmp_path) == ["b", "2 left", "a", "c"]
    assert spools(tmp_path) == []


@pytest.mark.parametrize("recorder", [None, "debug"])
def test_what_was_kept_after_a_record_that_failed_comes_after_it(tmp_path: Path, recorder: str | None) -> None:
    leave(
        tmp_path,
        "logger = make(); add(logger); logger.debug('a'); logger.error('failed'); logger.debug('b'); kept(logger, 1)",
    )
    assert take(tmp_path, recorder=recorder) == []
    assert lines(tmp_path) == ["a", "failed", "1 left", "b"]


@pytest.mark.parametrize(
    ("recorder", "there"),
    [("debug", ["a", "failed", "1 left", "b"]), (None, ["failed", "2 left", "a", "b"])],
)
def test_a_dump_that_had_not_begun_begins_where_the_successor_has_a_recorder(
    tmp_path: Path, recorder: str | None, there: list[str]
) -> None:
    # Nothing takes the records out of the ring before the end.
    leave(
        tmp_path,
        "logger = make(async_flush_interval=3_600_000); add(logger)\n"
        "logger.debug('a'); logger.error('failed'); logger.debug('b')",
    )
    assert take(tmp_path, recorder=recorder) == []
    assert lines(tmp_path) == there


def test_a_successor_compares_the_field_that_it_selects_by(tmp_path: Path) -> None:
    program = """
logger = make(recorder_field="k"); add(logger)
logger.debug("a 1", k=1); logger.debug("a 2", k="two"); logger.debug("a 3"); kept(logger, 3)
logger.configure(async_flush_interval=3_600_000)
logger.debug("b 2", k="two"); logger.error("failed", k="two")
"""
    leave(tmp_path, program)
    assert take(tmp_path, recorder="debug", recorder_field="k") == []
    assert lines(tmp_path) == ["a 2", "b 2", "failed", "2 left", "a 1", "a 3"]


def test_a_new_field_counts_for_what_is_kept_already(tmp_path: Path) -> None:
    program = """
logger = make(recorder_field="k"); add(logger)
logger.debug("a", k=1, j=1); logger.debug("b", k=1, j=2); kept(logger, 2)
logger.configure(recorder_field="j")
logger.error("failed", k=9, j=2)
logger.flush()
assert (folder / "app.log").read_text() == "[recorder] b\\nfailed\\n"
"""
    leave(tmp_path, program)


def test_two_dumps_before_the_same_record(tmp_path: Path) -> None:
    # Both are of kept records, so no written record is between them. The second has earlier ones than the first.
    program = """
logger = make(level="critical", recorder="debug", recorder_field="k"); add(logger)
for i in range(4):
    logger.debug("a {}", i, k=1)
    logger.debug("b {}", i, k=2)
kept(logger, 8)
logger.error("failed 2", k=2); kept(logger, 4)
logger.error("failed 1", k=1); kept(logger, 0)
logger.debug("c"); kept(logger, 1)
"""
    leave(tmp_path, program)
    assert take(tmp_path) == []
    assert lines(tmp_path) == [
        *(f"b {i}" for i in range(4)), "failed 2", *(f"a {i}" for i in range(4)), "failed 1", "1 left", "c",
    ]  # fmt: skip


def test_a_large_record_that_was_overwritten_is_still_in_the_ring(tmp_path: Path) -> None:
    # "first" waits in the sink, so the ring keeps all that comes after it.
    program = """
logger = make(async_buffer_size=1 << 16, recorder_size=1 << 18); add(logger)
logger.info("first")
for i in range(10):
    logger.debug("large {} {}", i, "x" * 60_000)
wait_until(lambda: logger.stats().overwritten >= 6)
"""
    leave(tmp_path, program)
    assert take(tmp_path) == []
    seen = [line.split(" x")[0] for line in lines(tmp_path)]
    assert seen[0] == "first"
    assert seen[2:] == [f"large {i}" for i in range(10)][-len(seen[2:]) :]
    assert len(seen) >= 5


def test_a_new_file_does_not_get_what_all_files_had(tmp_path: Path) -> None:
    # "b" was dumped, and stays in the recorder behind "a". The sink that takes no part has passed it, too.
    program = """
logger = make(recorder_field="k"); add(logger); add(logger, "plain.log", recorder=False)
logger.debug("a", k=1); logger.debug("b", k=2); logger.error("failed", k=2)
logger.flush()
logger.debug("c"); kept(logger, 2)
"""
    leave(tmp_path, program)
    assert take(tmp_path, "app.log", "new.log") == []
    assert lines(tmp_path) == ["b", "failed", "2 left", "a", "c"]
    assert lines(tmp_path, "new.log") == ["2 left", "a", "c"]


def test_late_lines_are_written_before_their_spool_is_given_up(tmp_path: Path) -> None:
    program = """
logger = make(); add(logger)
logger.debug("a"); logger.debug("b"); kept(logger, 2)
old = next(folder.glob("app.spool.*"))
logger.error("failed"); kept(logger, 0)
logger.debug("c"); kept(logger, 1)
logger.configure(spool=folder / "other.spool")
wait_until(lambda: not old.exists())
"""
    leave(tmp_path, program)
    with Logger(LoggerConfig(spool=tmp_path / "other.spool")) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
        assert logger.flush()
    assert lines(tmp_path) == ["a", "b", "failed", "1 left", "c"]


def test_an_orderly_end_leaves_nothing(tmp_path: Path) -> None:
    leave(
        tmp_path,
        "logger = make(); add(logger); logger.debug('a'); logger.info('b'); logger.close(); logger.debug('c')",
    )
    assert spools(tmp_path) == []
    assert take(tmp_path) == []
    assert lines(tmp_path) == ["b"]


def test_a_forked_child_has_a_recorder_of_its_own(tmp_path: Path) -> None:
    program = """
logger = make(); add(logger)
logger.debug("parent 1"); kept(logger, 1)
before = next(folder.glob("app.spool.*"))
pid = os.fork()
if pid == 0:
    assert logger.stats().kept == 0
    logger.debug("child 1"); logger.info("child written"); kept(logger, 1)
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
logger.debug("parent 2"); kept(logger, 2)
assert before.exists()
"""
    leave(tmp_path, program)
    assert len(spools(tmp_path)) == 2
    assert take(tmp_path) == []
    seen = lines(tmp_path)
    assert sorted(seen) == sorted(["child written", "1 left", "child 1", "2 left", "parent 1", "parent 2"])
    assert seen.index("2 left") + 1 == seen.index("parent 1") == seen.index("parent 2") - 1
    assert seen.index("1 left") + 1 == seen.index("child 1")


def test_what_was_kept_goes_on_where_the_spool_is_made_anew(tmp_path: Path) -> None:
    program = """
told = []
logger = make(on_error=told.append); add(logger)
logger.debug("a"); kept(logger, 1)
next(folder.glob("app.spool.*")).unlink()
wait_until(lambda: told)
logger.debug("b"); kept(logger, 2)
logger.info("c")
"""
    leave(tmp_path, program)
    assert take(tmp_path) == []
    assert lines(tmp_path) == ["c", "2 left", "a", "b"]


@pytest.mark.parametrize("size", [1 << 14, 1 << 22])
def test_what_was_kept_goes_on_in_a_recorder_of_another_size(tmp_path: Path, size: int) -> None:
    program = f"""
logger = make(); add(logger)
for i in range(10):
    logger.debug("a {{}}", i)
kept(logger, 10)
logger.configure(recorder_size={size})
logger.debug("b"); kept(logger, 11)
"""
    leave(tmp_path, program)
    assert take(tmp_path) == []
    assert lines(tmp_path) == ["11 left", *(f"a {i}" for i in range(10)), "b"]


def test_a_recorder_that_is_switched_off_and_on(tmp_path: Path) -> None:
    program = """
logger = make(); add(logger)
logger.debug("a"); kept(logger, 1)
logger.configure(recorder=None)
logger.debug("off"); logger.info("written"); kept(logger, 0)
logger.configure(recorder="debug")
logger.debug("b"); kept(logger, 1)
"""
    leave(tmp_path, program)
    assert take(tmp_path) == []
    assert lines(tmp_path) == ["written", "1 left", "b"]


def test_loggers_with_one_path_have_a_recorder_each(tmp_path: Path) -> None:
    program = """
first, second = make(), make()
add(first); add(second)
first.debug("first"); second.debug("second"); kept(first, 1); kept(second, 1)
"""
    leave(tmp_path, program)
    assert take(tmp_path) == []
    assert lines(tmp_path) in (["1 left", "first", "1 left", "second"], ["1 left", "second", "1 left", "first"])


# ---- the loss of power


@pytest.mark.skipif(not logly.spool.spools.boot_id(), reason="spool_fsync is not available here")
def test_after_the_loss_of_power_only_the_synced_ring_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = """
logger = make(spool_fsync=1); add(logger)
for i in range(20):
    logger.debug("kept {} {}", i, "x" * (60_000 if i == 7 else 1))
logger.info("written"); kept(logger, 20)
import time
spool = next(folder.glob("app.spool.*"))
def synced():
    with spool.open("rb") as file:
        copies = [file.seek(57344 + 4096 * i) and struct.unpack("<2Q", file.read(16)) for i in range(2)]
        file.seek(128)
        return max(copies)[1] == struct.unpack("<Q", file.read(8))[0]
import struct
wait_until(synced)
"""
    leave(tmp_path, program)
    path = tmp_path / spools(tmp_path)[0]
    poke(path, RING + (1 << 20), os.urandom(1 << 20))  # the recorder's part is not synced
    monkeypatch.setattr(logly.spool.spools, "boot_id", lambda: 77)
    assert take(tmp_path) == []
    seen = lines(tmp_path)
    assert seen[0] == "written"
    assert [line.split()[1] for line in seen[2:]] == [str(i) for i in range(20)]


# ---- damage

HEAD_OF_RECORDER = 65536 + 16 * 131072 + (1 << 20)
STATE = 616 + 16 * 2048 + 8


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    program = """
logger = make(); add(logger)
for i in range(5):
    logger.debug("a {}", i)
logger.error("failed")
for i in range(5):
    logger.debug("b {}", i)
kept(logger, 5)
"""
    leave(tmp_path, program)
    return tmp_path / spools(tmp_path)[0]


def entries(path: Path) -> list[int]:
    with path.open("rb") as file:
        file.seek(HEAD_OF_RECORDER)
        data = file.read(4096)
    found, at = [], 0
    while size := struct.unpack_from("<I", data, at)[0]:
        found.append(HEAD_OF_RECORDER + at)
        at += size
    return found


def test_where_the_tests_look_for_entries(damaged: Path) -> None:
    with damaged.open("rb") as file:
        file.seek(STATE)
        tail, first, _, second, _, current, may_keep, late, *left = struct.unpack("<5Q2I3Q", file.read(72))
    assert len(entries(damaged)) == 10
    assert tail == 0
    assert (second if current else first) == entries(damaged)[-1] + 136 - HEAD_OF_RECORDER or may_keep == 1
    assert (late, left) == (5, [0, 0])


@pytest.mark.parametrize(
    ("entry", "offset", "data", "words"),
    [
        pytest.param(0, 0, struct.pack("<I", 4), "impossible size", id="size"),
        pytest.param(0, 0, struct.pack("<I", 1 << 30), "impossible size", id="large-size"),
        pytest.param(0, 4, struct.pack("<I", 3), "no known kind", id="kind"),
        pytest.param(0, 4, struct.pack("<I", 2), "is not one", id="of-the-other-kind"),
        pytest.param(0, 8, struct.pack("<Q", 2), "the same number", id="number-of-another"),
        pytest.param(0, 8, struct.pack("<Q", 7), "impossible number", id="number"),
        pytest.param(9, 8, struct.pack("<Q", 1 << 63), "impossible number", id="large-number"),
        pytest.param(3, 32 + 7, b"\x00", "is not one", id="a-record-that-was-not-kept"),
        pytest.param(3, 32 + 8, b"\xff" * 8, "impossible time", id="time"),
    ],
)
def test_a_damaged_entry_is_told_and_nothing_is_changed(
    damaged: Path, entry: int, offset: int, data: bytes, words: str
) -> None:
    poke(damaged, entries(damaged)[entry] + offset, data)
    before = contents(damaged)
    (told,) = take(damaged.parent)
    assert isinstance(told, SpoolError)
    assert words in str(told)
    assert contents(damaged) == before
    assert lines(damaged.parent) == []
    assert words in run_recover(damaged, "--recorder", returncode=1).stderr


@pytest.mark.parametrize(
    ("offset", "data"),
    [
        pytest.param(0, struct.pack("<Q", 1 << 40), id="tail"),
        pytest.param(0, struct.pack("<Q", 4), id="tail-within-a-word"),
        pytest.param(40, struct.pack("<I", 2), id="index"),
        pytest.param(48, struct.pack("<Q", 1 << 62), id="late"),
        pytest.param(48, struct.pack("<Q", 1), id="late-too-few"),
        pytest.param(56, struct.pack("<Q", 100), id="left"),
        pytest.param(64, b"\xff" * 8, id="time"),
        pytest.param(72, struct.pack("<Q", 1 << 20), id="released-kept"),
        pytest.param(-16, struct.pack("<Q", 1 << 20), id="another-header-field"),
    ],
)
def test_damaged_numbers_of_the_recorder_are_told_or_do_no_harm(damaged: Path, offset: int, data: bytes) -> None:
    poke(damaged, STATE + offset, data)
    before = contents(damaged)
    told = take(damaged.parent)
    if told:
        assert isinstance(told[0], SpoolError)
        assert contents(damaged) == before
    else:
        assert lines(damaged.parent)[-5:] == [f"b {i}" for i in range(5)]


def test_an_absurd_number_of_the_record_before_which_a_dump_belongs(damaged: Path) -> None:
    # No other place says what it was. The record is there once, at the latest at the end.
    for entry, before in zip(entries(damaged)[:5], (1 << 63, (1 << 64) - 1, 0, 5, 1 << 32), strict=True):
        poke(damaged, entry + 16, struct.pack("<Q", before))
    assert take(damaged.parent) == []
    seen = lines(damaged.parent)
    assert sorted(seen) == sorted(["failed", "5 left", *(f"{word} {i}" for word in "ab" for i in range(5))])
    assert [line for line in seen if line[0] == "a"] == [f"a {i}" for i in range(5)]


def contents(path: Path) -> list[tuple[int, bytes]]:
    from tests.fuzz.spools import data_pages

    return data_pages(path)
