"""What several files of tests need. What only one of them needs stands in that file."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The repository; where an installed wheel is tested, the folder that holds the copies of `tests` and `docs`."""
