"""What several tests of sinks need: loggers that are closed, lines of rotated files."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from logly import Logger, LoggerConfig


def make_logger(**settings: Any) -> Logger:
    """A logger without a console, whose flusher does not let records lie."""
    return Logger(LoggerConfig(**{"auto_sink": False, "async_flush_interval": 5, **settings}))


def rotated_files(path: Path) -> list[Path]:
    """The rotated files of a log file, oldest first (their names sort by time)."""
    return sorted(path.parent.glob(f"{path.stem}_*{path.suffix}*"))


def all_lines(path: Path) -> list[str]:
    """Every line of the rotated files, oldest first, and of the current one."""
    files = [*rotated_files(path), *([path] if path.exists() else [])]
    return [line for file in files for line in file.read_text().split("\n")[:-1]]


def check_threads(lines: Iterable[str], threads: int, count: int) -> None:
    """Lines "THREAD NUMBER ...": each thread's numbers 0 to count - 1 are there once, in order."""
    seen: list[list[int]] = [[] for _ in range(threads)]
    for line in lines:
        thread, number = line.split(" ")[:2]
        seen[int(thread)].append(int(number))
    expected = list(range(count))
    for thread, numbers in enumerate(seen):
        assert numbers == expected, f"thread {thread}: {first_difference(numbers, expected)}"


def first_difference(found: Sequence[int], expected: Sequence[int]) -> str:
    """Where two sequences part, for a message that can be read."""
    for place, (one, other) in enumerate(zip(found, expected, strict=False)):
        if one != other:
            return f"{one} instead of {other} at {place}"
    return f"{len(found)} instead of {len(expected)}"


def run_threads(work: Callable[[int], None], count: int) -> None:
    """Runs ``work(0)`` to ``work(count - 1)`` at the same time; what one raises is raised here."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(work, index) for index in range(count)]:
            done.result(timeout=300)
