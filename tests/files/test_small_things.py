"""The path of a sink, `on_rotate`, retention by total size, retention of paths with `{time}`."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pytest

from logly import ConfigError, Logger, SinkConfig
from logly._core import ZONE_UTC
from logly.files.housekeeper import housekeeper
from logly.files.logfile import LogFile
from logly.files.rotated import Retention, RotatedName, expired, parse_retention
from logly.files.timed_paths import TimedNames, has_time, prune_timed
from tests.support.waiting import wait_until

DAY_NS = 86_400 * 1_000_000_000


def test_the_path_that_a_sink_writes_now(tmp_path: Path) -> None:
    with Logger() as logger:
        file = logger.add_sink(tmp_path / "a-{pid}.log")
        stream = logger.add_sink(function=print)
        assert logger.sink_path(file) == str(tmp_path / f"a-{os.getpid()}.log")
        assert logger.sink_path(stream) is None
        with pytest.raises(KeyError):
            logger.sink_path(stream + 1)


def rotate_some(tmp_path: Path, **settings: Any) -> None:
    with Logger() as logger:
        logger.add_sink(tmp_path / "app.log", format="{message}", size_limit=100, **settings)
        for number in range(50):
            logger.info("{:09}", number)
    assert housekeeper.drain(60)


def test_on_rotate_gets_the_path_of_each_rotated_file(tmp_path: Path) -> None:
    got: list[str] = []
    rotate_some(tmp_path, on_rotate=got.append)
    assert got == sorted(map(str, tmp_path.glob("app_*.log")))
    assert len(got) == 4


def test_on_rotate_comes_after_compression(tmp_path: Path) -> None:
    texts: list[bytes] = []
    rotate_some(
        tmp_path, compression="gzip", on_rotate=lambda path: texts.append(gzip.decompress(Path(path).read_bytes()))
    )
    assert b"".join(texts)[:20] == b"000000000\n000000001\n"
    assert len(texts) == 4


def test_what_on_rotate_raises_is_told(tmp_path: Path) -> None:
    errors: list[Exception] = []

    def fail(path: str) -> None:
        raise RuntimeError(path)

    logger = Logger(on_error=errors.append)
    logger.add_sink(tmp_path / "app.log", format="{message}", size_limit=100, on_rotate=fail)
    for number in range(11):
        logger.info("{:09}", number)
    logger.flush()
    assert housekeeper.drain(60)
    wait_until(lambda: logger.flush() and errors)
    logger.close()
    assert [type(error) for error in errors] == [RuntimeError]
    assert len(list(tmp_path.glob("app_*.log"))) == 1


# ---- retention by total size


@pytest.mark.parametrize(
    ("text", "size"), [("10 GB", 10**10), ("1 GiB", 1 << 30), ("500 mb", 5 * 10**8), ("300B", 300)]
)
def test_a_size_is_a_retention(text: str, size: int) -> None:
    assert parse_retention(text) == Retention(size_bytes=size)


def test_an_age_of_minutes_is_no_size() -> None:
    assert parse_retention("10 m") == Retention(age_ns=600 * 10**9)


@pytest.mark.parametrize("text", ["GB", "-1 GB", "1 2 GB", "ten GB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="a size: '10 GB'"):
        SinkConfig("a.log", size_limit=1000, retention=text).validate()


@pytest.mark.parametrize(
    ("most", "left"),
    [(0, []), (99, []), (100, ["3"]), (199, ["3"]), (250, ["3", "2"]), (300, ["3", "2", "1"]), (1000, ["3", "2", "1"])],
)
def test_the_oldest_go_until_the_rest_has_the_size(most: int, left: list[str], tmp_path: Path) -> None:
    for day in "123":
        (tmp_path / f"app_2024010{day}_000000.log").write_bytes(b"x" * 100)
    name = RotatedName(str(tmp_path / "app.log"), zone=ZONE_UTC)
    gone = {file.path for file in expired(name, Retention(size_bytes=most), 0)}
    kept = sorted((path.name for path in tmp_path.iterdir() if str(path) not in gone), reverse=True)
    assert [one[11] for one in kept] == left


def test_a_logger_keeps_the_size(tmp_path: Path) -> None:
    rotate_some(tmp_path, retention="250 B")
    files = list(tmp_path.glob("app_*.log"))
    assert [file.stat().st_size for file in files] == [100, 100]
    assert min(files).read_text().startswith("000000020")


# ---- paths with {time}


def make(folder: Path, *names: str) -> None:
    for age, name in enumerate(names):
        file = folder / name
        file.write_text(name)
        os.utime(file, ns=((100 - age) * DAY_NS,) * 2)


def test_so_many_files_of_earlier_times_stay(tmp_path: Path) -> None:
    make(tmp_path, "app-2024-01-05.log", "app-2024-01-04.log", "app-2024-01-03.log.gz", "app-2024-01-02.log")
    strangers = ["app-old.log", "app-2024-01-01.txt", "other-2024-01-01.log", "app-2024-01-01.log.bak"]
    make(tmp_path, *strangers)
    with Logger() as logger:
        sink = logger.add_sink(tmp_path / "app-{time:YYYY-MM-DD}.log", retention=2)
        logger.info("x")
        present = logger.sink_path(sink)
        assert housekeeper.drain(60)
    assert present is not None
    left = {file.name for file in tmp_path.iterdir()}
    assert left == {*strangers, "app-2024-01-05.log", "app-2024-01-04.log", os.path.basename(present)}


def test_rotated_files_of_earlier_times_belong_to_them(tmp_path: Path) -> None:
    make(tmp_path, "app-2024_20240105_120000.log", "app-2024_20240105_120000_0001.log", "app-2023.log")
    config = SinkConfig(tmp_path / "app-{time:YYYY}.log", size_limit=100, retention=1).resolved()
    rotated = LogFile(config, zone=ZONE_UTC, on_error=print)
    assert housekeeper.drain(60)
    rotated.close()
    left = {file.name for file in tmp_path.glob("app-*")} - {os.path.basename(rotated.path)}
    assert left == {"app-2024_20240105_120000.log"}


@pytest.mark.parametrize(
    ("retention", "left"),
    [(Retention(age_ns=2 * DAY_NS), 3), (Retention(size_bytes=33), 3), (Retention(files=0), 0)],
)
def test_age_and_size_of_timed_files(retention: Retention, left: int, tmp_path: Path) -> None:
    make(tmp_path, *(f"a2024010{day}.l" for day in range(5)))  # eleven characters each
    names = TimedNames(str(tmp_path / "a{time:YYYYMMDD}.l"), str(tmp_path / "a20240109.l"), zone=ZONE_UTC)
    assert len(prune_timed(names, retention, 100 * DAY_NS)) == 5 - left


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_the_file_of_another_process_that_lives_stays(tmp_path: Path) -> None:
    mine = str(tmp_path / f"app-2024.{os.getpid()}.log")
    make(tmp_path, f"app-2023.{os.getppid()}.log", "app-2023.999999999.log", "app-2023.99999999999999999999.log")
    names = TimedNames(str(tmp_path / "app-{time:YYYY}.{pid}.log"), mine, zone=ZONE_UTC)
    assert sorted(map(os.path.basename, prune_timed(names, Retention(files=0), 0))) == [
        "app-2023.999999999.log",
        "app-2023.99999999999999999999.log",
    ]


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("{time:DD MMM YYYY}", "03 May 2024", "03 5 2024"),
        ("{time}", "20240101_120000", "2024-01-01"),
        ("{{{time:YYYY}}}", "{2024}", "2024"),
        ("{time:HH.mm Z}", "10.30 -05:00", "10:30 -05:00"),
    ],
)
def test_a_name_is_told_by_its_pattern(pattern: str, yes: str, no: str, tmp_path: Path) -> None:
    names = TimedNames(str(tmp_path / f"a {pattern}.log"), str(tmp_path / "now"), zone=ZONE_UTC)
    make(tmp_path, f"a {yes}.log", f"a {no}.log")
    assert [os.path.basename(path) for _, path, _ in names.files()] == [f"a {yes}.log"]
    bare = TimedNames(str(tmp_path / f"a {pattern}"), str(tmp_path / "now"), zone=ZONE_UTC)
    make(tmp_path, f"a {yes}")
    assert [os.path.basename(path) for _, path, _ in bare.files()] == [f"a {yes}"]


def test_the_time_is_in_the_name_of_the_file() -> None:
    assert has_time("/x/{time:YYYY}.log")
    assert not has_time("/x/{{time}}.log")
    assert not has_time("/{time:YYYY}/app.log")


# ---- what asks for rotated files where nothing rotates


@pytest.mark.parametrize(
    "settings",
    [{"retention": 5}, {"retention": "10 days"}, {"compression": "gzip"}, {"on_rotate": print}],
)
def test_what_is_about_rotated_files_needs_a_rotation(settings: dict[str, Any], tmp_path: Path) -> None:
    (name,) = settings
    for path in (tmp_path / "app.log", tmp_path / "{time:YYYY}" / "app.log"):
        with pytest.raises(ConfigError, match=f"{name} = .* nothing rotates this file: set rotation") as caught:
            SinkConfig(path, **settings).validate()
        assert caught.value.field == name
    SinkConfig(tmp_path / "app.log", size_limit=1000, **settings).validate()
