"""What other libraries' hooks log in the middle of a fork: those registered before logly's own, and after."""

from __future__ import annotations

import os
import textwrap
from collections import Counter
from pathlib import Path

import pytest

from tests.support.programs import run_program
from tests.support.spooling import run_recover

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


PROGRAM = """
import os, sys
logger = None
def hook(where):
    def log():
        if logger is not None:
            for i in range({count}): logger.info("{{}} {{}} {{}}", where, os.getpid() == parent, i)
    return log
parent = os.getpid()
# Registered before logly's own: it runs before it in the child, and after it in the parent.
def register(when):
    before, in_parent, in_child = [hook(when + " " + where) for where in ("before", "parent", "child")]
    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)
register("early")
from logly import Logger, LoggerConfig, SinkConfig
register("late")
folder = sys.argv[1]
settings = dict(async_flush_interval=3_600_000, flush_level=None, auto_sink=False, async_buffer_size=1 << 17)
if "{spool}":
    settings["spool"] = folder + "/app.spool"
made = Logger(LoggerConfig(**settings))
made.add_sink(SinkConfig(path=folder + "/app.log", format="{{message}}", buffer_size=1 << 22, async_write={is_async}))
made.info("before")
logger = made
pid = os.fork()
logger = None
made.info("{{}} is at work", "parent" if pid else "child")
stats = made.stats()
assert stats.emitted == {count} * (4 if pid else 2) + (2 if pid else 1), stats
{end}
"""


@pytest.mark.parametrize("spool", ["", "spool"])
@pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
@pytest.mark.parametrize("count", [3, 5000], ids=["few", "more than the ring holds"])
def test_what_hooks_log_is_written_once_by_the_process_that_logged_it(
    tmp_path: Path, spool: str, is_async: bool, count: int
) -> None:
    end = "os.waitpid(pid, 0) if pid else None; made.close(); os._exit(0) if not pid else None"
    source = PROGRAM.format(spool=spool, is_async=is_async, count=count, end=end)
    run_program(source, tmp_path, timeout=120)
    expected = Counter(["before", "parent is at work", "child is at work"])
    for where in ("early before", "late before", "early parent", "late parent"):
        expected.update(f"{where} True {i}" for i in range(count))
    for where in ("early child", "late child"):
        expected.update(f"{where} False {i}" for i in range(count))
    assert Counter((tmp_path / "app.log").read_text().splitlines()) == expected
    assert list(tmp_path.glob("app.spool*")) == []


def test_a_childs_early_records_do_not_get_into_the_parents_spool(tmp_path: Path) -> None:
    """Both die without writing: the next start has all of the parent's records, and what was in the child's spool."""
    source = PROGRAM.format(
        spool="spool", is_async=True, count=50, end="os.waitpid(pid, 0) if pid else None; os._exit(1)"
    )
    run_program(source, tmp_path, returncode=1)
    done = run_recover(tmp_path / "app.spool", "--format", "{message}")
    lines = done.stdout.splitlines() + (tmp_path / "app.log").read_text().splitlines()
    expected = Counter(["before", "parent is at work", "child is at work"])
    for where in ("early before", "late before", "early parent", "late parent"):
        expected.update(f"{where} True {i}" for i in range(50))
    # What was logged before the child's spool could be made is in memory, as without a spool.
    expected.update(f"late child False {i}" for i in range(50))
    early = {f"early child False {i}" for i in range(50)}
    assert Counter(line for line in lines if line not in early) == expected
    assert max(Counter(line for line in lines if line in early).values(), default=0) <= 1


def run(source: str, folder: Path) -> list[str]:
    """The lines of the log of a program, which ends well."""
    run_program(textwrap.dedent(source), folder)
    return sorted((folder / "app.log").read_text().splitlines())


def test_a_logger_that_a_hook_makes_during_the_fork_works_on_both_sides(tmp_path: Path) -> None:
    source = """
    import os, sys
    loggers = []
    def early():  # registered before logly's hook, it runs after that
        from logly import Logger, LoggerConfig, SinkConfig
        logger = Logger(LoggerConfig(auto_sink=False))
        logger.add_sink(SinkConfig(path=sys.argv[1] + "/app.log", format="{message}"))
        logger.info("hook")
        loggers.append(logger)
    os.register_at_fork(before=early)
    import logly
    logly.Logger
    pid = os.fork()
    loggers[0].info("parent" if pid else "child")
    assert loggers[0].close(30)
    if pid == 0:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    """
    assert run(source, tmp_path) == ["child", "hook", "parent"]


def test_what_a_hook_logs_in_a_grandchild_whose_parent_has_not_logged_is_there(tmp_path: Path) -> None:
    source = """
    import os, sys
    made = None
    def early():
        if made is not None and os.getppid() != first:
            for i in range(3): made.info("early {}", i)
    os.register_at_fork(after_in_child=early)
    from logly import Logger, LoggerConfig, SinkConfig
    first = os.getppid()
    logger = Logger(LoggerConfig(auto_sink=False, spool=sys.argv[1] + "/app.spool"))
    logger.add_sink(SinkConfig(path=sys.argv[1] + "/app.log", format="{message}"))
    logger.info("parent")
    pid = os.fork()
    if pid == 0:
        made = logger
        pid = os.fork()
        made = None
        if pid == 0:
            logger.info("grandchild")
            assert logger.close(30)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert logger.close(30)
    """
    assert run(source, tmp_path) == ["early 0", "early 1", "early 2", "grandchild", "parent"]
    assert list(tmp_path.glob("app.spool*")) == []


OTHER_LIBRARY = """
import os, sys, threading
lock = threading.Lock()
os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
from logly import Logger, LoggerConfig, SinkConfig
held, go = threading.Event(), threading.Event()
def work():
    with lock:
        held.set()
        go.wait(5)
        log()
thread = threading.Thread(target=work)
def fork_beside():
    thread.start()
    held.wait()
    os.register_at_fork(before=go.set)  # runs first
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    thread.join()
logger = Logger(LoggerConfig(auto_sink=False, async_buffer_size=4096, stall_timeout=60))
logger.add_sink(SinkConfig(path=sys.argv[1] + "/app.log", format="{message}"))
"""
"""A library whose hook, which runs after logly's, takes a lock; its holder logs meanwhile."""


def test_a_fork_waits_for_no_thread_that_has_another_librarys_lock(tmp_path: Path) -> None:
    program = """
def log():  # a thread's first record, and from a new place
    logger.info("a new template {}", 1)
logger.info("begin")
fork_beside()
assert logger.close(30)
"""
    assert run(OTHER_LIBRARY + program, tmp_path) == ["a new template 1", "begin"]


def test_nor_for_one_that_logs_more_than_the_ring_takes(tmp_path: Path) -> None:
    program = """
def log():
    for i in range(1000):
        logger.info("{}", i)
fork_beside()
assert logger.close(30)
assert logger.stats().dropped == 0
"""
    assert run(OTHER_LIBRARY + program, tmp_path) == sorted(str(i) for i in range(1000))
