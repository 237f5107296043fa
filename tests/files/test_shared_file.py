"""Several processes, one file: whole lines, one rotates and the others follow, nothing lost and nothing twice."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from logly import SinkConfig
from tests.support.log_files import all_lines, check_threads, first_difference, rotated_files
from tests.support.loggers import make_logger
from tests.support.programs import start_program
from tests.support.waiting import wait_until

WRITER = """
import sys
from logly import Logger, LoggerConfig, SinkConfig
path, process, count, limit, rotation = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
logger = Logger(LoggerConfig(async_flush_interval=2, stall_timeout=60))
logger.add_sink(SinkConfig(path=path, format="{message}", size_limit=limit or None, rotation=rotation or None))
print("ready", flush=True)
sys.stdin.readline()
for i in range(count):
    logger.info("{} {} {}", process, i, "x" * (i % 60))
    if i % 500 == 0:
        logger.flush()
assert logger.close(60)
stats = logger.stats()
assert (stats.emitted, stats.written) == (count, count), stats
print(stats.rotations)
"""


def run_writers(path: Path, processes: int, count: int, limit: int, rotation: str = "") -> int:
    """Lets so many processes write at the same time; returns how often they rotated."""
    writers = [
        start_program(WRITER, path, process, count, limit, rotation, says="ready", stdin=subprocess.PIPE)
        for process in range(processes)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    rotations = 0
    for writer in writers:
        output, _ = writer.communicate(timeout=100)
        assert writer.returncode == 0
        rotations += int(output)
    return rotations


@pytest.mark.parametrize("count", [10_000, pytest.param(200_000, marks=pytest.mark.nightly)])
def test_eight_processes_rotate_by_size_and_the_union_is_what_was_logged(tmp_path: Path, count: int) -> None:
    path, limit = tmp_path / "app.log", 100_000
    rotations = run_writers(path, 8, count, limit)
    check_threads(all_lines(path), 8, count)
    files = rotated_files(path)
    assert len(files) == rotations > 10
    assert all(limit - 200 < file.stat().st_size <= limit for file in files)


def test_processes_rotate_by_time_once_for_all(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    rotations = run_writers(path, 3, 30_000, 0, "1 second")
    lines = all_lines(path)
    check_threads(lines, 3, 30_000)
    files = rotated_files(path)
    assert rotations == len(files)
    # One for each second at most: a second one of the same boundary would have a number behind its stamp.
    assert len({file.name[:19] for file in files}) == len(files)


def test_processes_without_rotation_write_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    run_writers(path, 4, 10_000, 0)
    check_threads(path.read_text().splitlines(), 4, 10_000)


def test_a_forked_child_shares_the_rotating_file(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    logger = make_logger(stall_timeout=60)
    logger.add_sink(SinkConfig(path=path, format="{message}", size_limit=10_000))
    logger.info("0 0")
    children = []
    for child in range(1, 4):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                for i in range(3_000):
                    logger.info("{} {}", child, i)
                status = 0 if logger.close(60) else 2
            finally:
                os._exit(status)
        children.append(pid)
    for i in range(1, 3_000):
        logger.info("0 {}", i)
    for pid in children:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert logger.close(60)
    check_threads(all_lines(path), 4, 3_000)


def test_a_path_with_the_process_id_is_another_file_in_the_child(tmp_path: Path) -> None:
    logger = make_logger()
    logger.add_sink(SinkConfig(path=tmp_path / "app-{pid}.log", format="{message}"))
    logger.info("parent")
    assert logger.flush()
    pid = os.fork()
    if pid == 0:
        logger.info("child")
        logger.close(30)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    logger.close()
    assert (tmp_path / f"app-{os.getpid()}.log").read_text() == "parent\n"
    assert (tmp_path / f"app-{pid}.log").read_text() == "child\n"


def test_a_stopped_process_that_holds_the_lock_does_not_stop_the_other_sinks(tmp_path: Path) -> None:
    shared, own = tmp_path / "shared.log", tmp_path / "own.log"
    logger = make_logger(stall_timeout=60)
    logger.add_sink(SinkConfig(path=shared, format="{message}", size_limit="1 MB"))
    logger.add_sink(SinkConfig(path=own, format="{message}"))
    program = (
        "import fcntl,os,sys; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), 2); print('held', flush=True); input()"
    )
    holder = start_program(program, tmp_path / ".shared.log.lock", says="held", stdin=subprocess.PIPE)
    holder.send_signal(signal.SIGSTOP)
    try:
        for i in range(1_000):
            logger.info("{}", i)
        expected = [str(i) for i in range(1_000)]
        wait_until(lambda: own.read_text().splitlines() == expected)
        assert shared.read_text() == ""
    finally:
        holder.kill()
        holder.communicate()
    assert logger.close(60)
    found = shared.read_text().splitlines()
    assert found == expected, first_difference([int(line) for line in found], range(1_000))
