"""Counts lines in files: what a library says it has written is not believed."""

from __future__ import annotations

from pathlib import Path

CHUNK = 1 << 24


def count(path: str | Path, marker: bytes = b"\n") -> int:
    """How often the marker occurs in the file; 0 where there is no file."""
    if not Path(path).exists():
        return 0
    total, tail = 0, b""
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            seen = tail + chunk
            total += seen.count(marker)
            # A marker may be cut in two by the chunk's end.
            tail = seen[max(0, len(seen) - len(marker) + 1) :]
    return total


def check(name: str, path: str | Path, expected: int, marker: bytes = b"\n") -> None:
    """Ends the program where lines are missing, or too many."""
    found = count(path, marker)
    if found != expected:
        raise SystemExit(f"{name}: {found} lines in the file, {expected} were logged")
