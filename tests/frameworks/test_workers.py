"""Workers that `Pool.terminate` ends by SIGTERM, as the end of a `with` does."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.frameworks import worker_work
from tests.support.log_files import lines_of
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="signals"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

needs_fork = pytest.mark.skipif(sys.platform == "win32", reason="fork")
FORK: Any = None if sys.platform == "win32" else multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def _no_logger_is_left() -> Iterator[None]:
    yield
    close()


def close() -> None:
    while worker_work.loggers:
        assert worker_work.loggers.pop().close(30)


def pool(method: str, path: Path, processes: int = 2, begin: Callable[[Path], None] = worker_work.begin) -> Any:
    if method == "fork":
        worker_work.loggers.append(worker_work.made(path))
    return multiprocessing.get_context(method).Pool(processes, begin, (path,))


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_no_line_is_lost_at_the_end_of_a_with(tmp_path: Path, method: str) -> None:
    for i in range(20 if method == "fork" else 2):
        path = tmp_path / f"{i}.log"
        with pool(method, path) as workers:
            workers.map(worker_work.work, range(20))
            ended = list(workers._pool)
        assert sorted(lines_of(path)) == sorted(f"line {n}" for n in range(20))
        assert {process.exitcode for process in ended} <= {0, -signal.SIGTERM}
        close()


@needs_fork
def test_sigterm_with_a_handler_that_exits_while_the_worker_ends(tmp_path: Path) -> None:
    """Without a Pool, whose workers then sometimes wait for its lock for ever, also without logly."""
    for i in range(20):
        path, told = tmp_path / f"{i}.log", tmp_path / f"{i}.told"
        child = FORK.Process(target=worker_work.work_and_end, args=(path, told), daemon=True)
        child.start()
        wait_until(told.exists, "the child to have logged")
        child.terminate()
        child.join(30)
        assert child.exitcode in (0, 1)  # 1: it came after the lines of multiprocessing that catch SystemExit
        assert lines_of(path) == [f"line {n}" for n in range(20)]


@needs_fork
def test_such_a_handler_does_not_cut_the_last_flush_short(tmp_path: Path) -> None:
    child = FORK.Process(target=worker_work.is_interrupted_at_the_end, args=(tmp_path / "log",))
    child.start()
    child.join(60)
    assert child.exitcode == 3
    assert lines_of(tmp_path / "log") == [f"line {n}" for n in range(200)]


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_a_worker_that_computes_in_c_code(tmp_path: Path, method: str) -> None:
    path, told = tmp_path / "log", tmp_path / "told"
    with pool(method, path, 1) as workers:
        workers.apply_async(worker_work.compute, (told,))
        wait_until(told.exists, "the worker to compute")
        process = workers._pool[0]
        assert lines_of(path) == ["before"]
    assert process.exitcode == -signal.SIGTERM


def test_a_sinks_function_that_hangs_keeps_no_worker_alive(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with pool("spawn", path, begin=worker_work.begin_with_a_function_that_hangs) as workers:
        workers.map(worker_work.work, range(20))
        processes = list(workers._pool)
    assert sorted(lines_of(path)) == sorted(f"line {n}" for n in range(20))
    assert all(process.exitcode is not None for process in processes)


@needs_fork
def test_nor_does_kill_take_a_line_of_a_daemonic_process(tmp_path: Path) -> None:
    path, told = tmp_path / "log", tmp_path / "told"
    worker_work.loggers.append(worker_work.made(path))
    child = FORK.Process(target=worker_work.compute, args=(told,), daemon=True)
    child.start()
    wait_until(told.exists, "the child to compute")
    child.kill()
    child.join(30)
    assert child.exitcode == -signal.SIGKILL
    assert lines_of(path) == ["before"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_stops_no_call_of_a_worker(tmp_path: Path) -> None:
    """With `async_write=False` each call would wait."""
    with pool("fork", tmp_path / "log", 1) as workers:
        stall_s = 1.0
        assert workers.apply(worker_work.work_on_a_full_disk, (20,)) < 20 * stall_s
