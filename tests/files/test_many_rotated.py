"""A folder with many rotated files: a rotation does not look at all of them."""

import os
import random
from pathlib import Path

import pytest

from logly import Logger, SinkConfig
from logly._core import ZONE_UTC
from logly.files import rotated
from logly.files.rotated import RotatedName

NOW_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each listing of a folder, by the folder's name."""
    seen: list[str] = []
    listdir = os.listdir

    def noted(path: str) -> list[str]:
        seen.append(os.path.basename(path))
        return listdir(path)

    monkeypatch.setattr(rotated.os, "listdir", noted)
    return seen


def test_rotations_by_size_list_the_folder_once(tmp_path: Path, listings: list[str]) -> None:
    with Logger() as logger:
        sink = logger.add_sink(SinkConfig(path=str(tmp_path / "a.log"), size_limit=1000, format="{message}"))
        for i in range(40):
            logger.info("{:0100}", i)
        assert logger.flush(30)
        assert logger.sink_stats(sink).written == 40
        assert logger.stats().rotations == 4
    assert listings == [tmp_path.name]
    files = sorted(path for path in tmp_path.iterdir() if path.name.startswith("a_"))
    numbers = [int(line) for path in [*files, tmp_path / "a.log"] for line in path.read_text().splitlines()]
    assert numbers == list(range(40))


def test_only_names_that_may_be_newer_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(500):
        (tmp_path / f"a_20200101_{i // 60:02}{i % 60:02}00.log").touch()
    name = RotatedName(str(tmp_path / "a.log"), zone=ZONE_UTC)
    looked_at = []
    match = RotatedName.match
    monkeypatch.setattr(RotatedName, "match", lambda self, text: looked_at.append(text) or match(self, text))
    assert name.choose(NOW_NS).endswith("a_20231114_221320.log")
    assert name.files(NOW_NS) == []
    assert looked_at == []


def test_what_is_remembered_gives_the_same_names_as_a_look(tmp_path: Path) -> None:
    """Times that go back and forth, files that appear and go: a name never exists, and sorts as after a listing."""
    chance = random.Random(7)
    name = RotatedName(str(tmp_path / "a.log"), zone=ZONE_UTC)
    now_ns = NOW_NS
    for _ in range(400):
        now_ns += chance.choice((0, 0, 1, 1, 60, 3600, -1, -50, -7200, 86_400, -2 * 86_400)) * SECOND_NS
        expected = RotatedName(str(tmp_path / "a.log"), zone=ZONE_UTC).choose(now_ns)
        chosen = name.choose(now_ns)
        assert chosen == expected
        assert not os.path.lexists(chosen)
        Path(chosen).touch()
        kind = chance.randrange(12)
        if kind == 0:  # it was compressed
            os.rename(chosen, chosen + ".gz")
        elif kind == 1:  # another process rotates, and this one notices
            Path(RotatedName(str(tmp_path / "a.log"), zone=ZONE_UTC).choose(now_ns + 5 * SECOND_NS)).touch()
            name.forget()


def test_a_name_that_somebody_took_is_not_replaced(tmp_path: Path) -> None:
    name = RotatedName(str(tmp_path / "a.log"), zone=ZONE_UTC)
    Path(name.choose(NOW_NS)).touch()
    for suffix in ("", ".gz"):
        taken = Path(RotatedName(str(tmp_path / "a.log"), zone=ZONE_UTC).choose(NOW_NS) + suffix)
        taken.write_text("somebody's")
        chosen = Path(name.choose(NOW_NS))
        assert chosen.name > taken.name.removesuffix(".gz")
        chosen.touch()


def test_a_rename_that_failed_leaves_no_gap(tmp_path: Path) -> None:
    name = RotatedName(str(tmp_path / "a.log"), zone=ZONE_UTC)
    first = name.choose(NOW_NS)
    name.forget()
    assert name.choose(NOW_NS) == first
