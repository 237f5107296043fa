"""What is in log files, the rotated ones included."""

from collections.abc import Iterable, Sequence
from pathlib import Path


def lines_of(path: Path) -> list[str]:
    """The whole lines of a file; that it ends at a line boundary is part of the test."""
    text = path.read_bytes()
    assert text == b"" or text.endswith(b"\n"), text[-200:]
    return text.decode().splitlines()


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
