"""Compression beside others that remove the same files, and on systems that lack something."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from logly import ConfigError, SinkConfig
from logly._core import ZONE_UTC
from logly.files import compression
from logly.files.rotated import RotatedName
from tests.support.log_files import rotated_files

PLAIN = "app_20240101_000000.log"


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / PLAIN
    path.write_bytes(b"line\n" * 1000)
    return path


def test_a_file_that_retention_removes_meanwhile_is_not_brought_back(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = compression.shutil.copyfileobj

    def copy_and_remove(*arguments: Any) -> None:
        real(*arguments)
        plain.unlink()

    monkeypatch.setattr(compression.shutil, "copyfileobj", copy_and_remove)
    assert compression.compress(str(plain), "gzip") is None
    assert os.listdir(plain.parent) == []


def test_a_system_without_locks_compresses_and_sweeps(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: one process writes a file, so there is nobody to lock out."""
    monkeypatch.setattr(compression, "fcntl", None)
    left = plain.with_name("app_20240102_000000.log.gz.part")
    left.touch()
    assert compression.sweep(RotatedName(str(plain.parent / "app.log"), zone=ZONE_UTC)) == [str(left)]
    assert compression.compress(str(plain), "gzip") == f"{plain}.gz"
    assert os.listdir(plain.parent) == [f"{PLAIN}.gz"]


def test_a_system_that_cannot_open_folders_compresses(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = compression.open_descriptor

    def open_descriptor(path: str, *rest: Any) -> Any:
        if os.path.isdir(path):
            raise PermissionError(path)
        return real(path, *rest)

    monkeypatch.setattr(compression, "open_descriptor", open_descriptor)
    assert compression.compress(str(plain), "gzip") == f"{plain}.gz"
    assert os.listdir(plain.parent) == [f"{PLAIN}.gz"]


def test_a_part_that_goes_while_the_folder_is_swept_does_not_end_the_sweep(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = RotatedName(str(plain.parent / "app.log"), zone=ZONE_UTC)
    gone, left = (f"{plain.parent}/app_2024010{day}_000000.log.gz.part" for day in (2, 3))
    Path(left).touch()
    monkeypatch.setattr(RotatedName, "parts", lambda self: [gone, left])
    assert compression.sweep(name) == [left]


@pytest.mark.parametrize(
    ("method", "modules", "way_out"),
    [
        ("zstd", ["compression.zstd", "backports.zstd", "zstandard"], "install 'backports.zstd' or 'zstandard'"),
        ("bz2", ["bz2"], "this Python was built without it"),
    ],
)
def test_a_method_that_is_not_installed_is_refused_with_a_way_out(
    monkeypatch: pytest.MonkeyPatch, method: str, modules: list[str], way_out: str
) -> None:
    for name in modules:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=f"compression = '{method}' is not available: .*{way_out}"):
        SinkConfig(compression=method).resolved()


def test_the_other_library_for_zstd(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zstandard = pytest.importorskip("zstandard")
    for name in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)  # not installed
    target = compression.compress(str(plain), compression.find_method("zstd"))
    assert [str(path) for path in rotated_files(plain.parent / "app.log")] == [target]
    assert target is not None
    with open(target, "rb") as packed:
        assert zstandard.ZstdDecompressor().stream_reader(packed).read() == b"line\n" * 1000
