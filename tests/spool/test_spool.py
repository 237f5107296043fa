"""The spool: what a process had logged is in the files exactly once, however it died."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import subprocess
from pathlib import Path

import pytest

import logly.control.recovery
import logly.spool.spools
import logly.spool.unfinished_write
from logly import Logger, LoggerConfig, SinkConfig, SpoolError
from tests.support.disks import size_for_spool, small_disk
from tests.support.programs import run_program
from tests.support.records import WITH_ITS_LEVEL
from tests.support.spooling import Child, assert_each_once, dies, revive, run_recover, spools
from tests.support.waiting import wait_until


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
{"".join("    " + line + chr(10) for line in WITH_ITS_LEVEL.splitlines())}
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
        result = run_recover(tmp_path / "app.spool", returncode=1)
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
        # No pipe for what it prints: the child would keep it open.
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        run_program(code, pass_fds=(read, write), returncode=1, **silent)
        wait_until(lambda: revive(tmp_path, layout="{message}") == [] and spools(tmp_path) == [])
        assert (tmp_path / "app.log").read_text() == "parent\n"


# ---- an orderly life


def test_nothing_stays_behind_after_an_orderly_end(tmp_path: Path) -> None:
    program = (
        "from logly import Logger, LoggerConfig, SinkConfig\n"
        f"logger = Logger(LoggerConfig(spool={str(tmp_path / 'run' / 'app.spool')!r}))\n"
        f"logger.add_sink(SinkConfig(path={str(tmp_path / 'app.log')!r}, format='{{message}}'))\n"
        "for i in range(1000): logger.info('line {}', i)\n"
    )
    run_program(program)
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
        wait_until(lambda: not list(tmp_path.glob("*.spool*")))
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
    told: list[Exception] = []
    with (
        small_disk(tmp_path, size_for_spool(tmp_path)) as disk,
        Logger(LoggerConfig(spool=disk / "app.spool", on_error=told.append)) as logger,
    ):
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
        logger.info("x" * 3_000_000)  # larger than the ring: a copy would be in the spool
        assert logger.flush()
        lines = (tmp_path / "app.log").read_text().splitlines()
        assert lines[:300] == expected
        assert len(lines[300]) == 3_000_000
        (disk / "filler").unlink()
    assert any(
        re.search(r"no space for a record of 3\d{6} bytes, which is in memory only", str(error)) for error in told
    ), told
