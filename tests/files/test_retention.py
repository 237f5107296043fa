"""Retention where somebody else is at work on the same files."""

import os
from pathlib import Path

import pytest

from logly._core import ZONE_UTC
from logly.files.rotated import RotatedName, parse_retention, prune

FILES = [f"app_2026010{day}_000000.log" for day in range(1, 6)]


@pytest.fixture
def name(tmp_path: Path) -> RotatedName:
    for file in FILES:
        (tmp_path / file).write_text("x\n")
    return RotatedName(str(tmp_path / "app.log"), zone=ZONE_UTC)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("trouble", "is_told"), [(FileNotFoundError, False), (PermissionError, True)])
def test_a_file_that_cannot_be_removed_does_not_save_the_others(
    tmp_path: Path, name: RotatedName, monkeypatch: pytest.MonkeyPatch, trouble: type[OSError], is_told: bool
) -> None:
    unlink = os.unlink

    def unlink_most(path: str) -> None:
        if path.endswith(FILES[1]):
            raise trouble(path)
        unlink(path)

    monkeypatch.setattr(os, "unlink", unlink_most)
    if is_told:
        with pytest.raises(trouble, match=FILES[1]):
            prune(name, parse_retention(2), 0)
    else:
        assert [os.path.basename(path) for path in prune(name, parse_retention(2), 0)] == [FILES[0], FILES[2]]
    assert left(tmp_path) == [FILES[1], *FILES[3:]]


def test_a_file_that_goes_while_the_folder_is_read_is_not_counted(
    tmp_path: Path, name: RotatedName, monkeypatch: pytest.MonkeyPatch
) -> None:
    listdir = os.listdir

    def list_and_remove(folder: str) -> list[str]:
        found = listdir(folder)
        (tmp_path / FILES[4]).unlink(missing_ok=True)
        return found

    monkeypatch.setattr(os, "listdir", list_and_remove)
    prune(name, parse_retention(2), 0)
    assert left(tmp_path) == FILES[2:4]


def test_a_name_with_an_impossible_date_is_somebody_elses(tmp_path: Path, name: RotatedName) -> None:
    foreign = [
        "app_20261301_000000.log",
        "app_20260230_000000.log",
        "app_20260101_250000.log",
        "app_2026\uff10101_000000.log",
    ]
    for file in foreign:
        (tmp_path / file).write_text("x\n")
    prune(name, parse_retention(1), 0)
    assert left(tmp_path) == sorted([FILES[4], *foreign])
