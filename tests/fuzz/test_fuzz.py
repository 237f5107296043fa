"""The fuzz targets for some seconds, and what they once found. For longer runs: `python -m tests.fuzz --help`."""

from __future__ import annotations

import secrets
import struct
import sys
from binascii import crc32
from pathlib import Path

import pytest

import logly.control.recovery
import logly.spool.spools
from logly import LoggerConfig, SinkConfig, SpoolError
from tests.fuzz.__main__ import TARGETS
from tests.support.programs import run_module

linux_spool = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="spools: Linux")
MARKS = {"spools": linux_spool, "layouts": pytest.mark.skipif(sys.platform == "win32", reason="files in memory")}


#: Some seconds of each.
CASES = {"formats": 300, "layouts": 5000, "spools": 50}


# What a new seed finds is a finding, but not of the change that is being tested.
@pytest.mark.parametrize("seed", [1, pytest.param(None, marks=pytest.mark.nightly)], ids=["same-seed", "new-seed"])
@pytest.mark.parametrize("name", [pytest.param(name, marks=MARKS.get(name, ())) for name in TARGETS])
def test_nothing_is_found_in_a_short_run(name: str, seed: int | None) -> None:
    if name == "formats":
        pytest.importorskip("tests.probe.text", reason="built with LOGLY_BUILD=probe only")
    if seed is None:
        seed = secrets.randbelow(1 << 32)
    run_module("tests.fuzz", name, "--count", CASES[name], "--seed", seed, timeout=110, may_complain=True)


@pytest.fixture
def sample(tmp_path: Path):
    """A spool whose process died in the middle of a write(2) to a file."""
    from tests.fuzz.spools import ENDS, Sample

    return Sample(tmp_path / "dead", ENDS["writing"])


def refusal_of(sample, offset: int, data: bytes) -> str:
    """What is told of the damaged spool; it and the log that it has the end of must be as they were."""
    from tests.fuzz.spools import data_pages

    with sample.path.open("r+b") as file:
        file.seek(offset)
        file.write(data)
    before = data_pages(sample.path)
    with pytest.raises(SpoolError) as caught:  # noqa: PT012 -- either of the two may refuse it
        file = logly.spool.spools.open_dead(str(sample.path))
        assert file is not None
        sink = SinkConfig(path=sample.folder / "app.log", format="{message}").resolved()
        logly.control.recovery.deliver(file, LoggerConfig(), [sink], 30.0, lambda error: None)
    assert data_pages(sample.path) == before
    assert (sample.folder / "app.log").read_bytes() == sample.logs["app.log"]
    return str(caught.value)


@linux_spool
def test_a_damaged_record_is_found_before_a_write_is_finished(sample) -> None:
    assert sample.logs["app.log"]
    assert "record 3 is not one" in refusal_of(sample, sample.unreleased[3] + 24, b"\xff\xff")


@linux_spool
def test_a_record_of_an_impossible_time_is_damaged(sample) -> None:
    # One before 1970 made the flusher ask for rotation for ever.
    place = sample.unreleased[3] + 8
    (ticks,) = struct.unpack("<Q", sample.read(place, 8))
    assert "impossible time" in refusal_of(sample, place, struct.pack("<Q", (ticks + 2**63 + 2**40) % 2**64))


@linux_spool
@pytest.mark.parametrize(
    ("offset", "value"),
    [
        pytest.param(40, 2**63 + 5, id="place in the file"),
        pytest.param(48, 1 << 20, id="length"),
        pytest.param(56, 2**64 - 8, id="large bytes elsewhere"),
        pytest.param(72, 0, id="name"),
    ],
)
def test_a_write_that_cannot_have_begun_is_damaged(sample, offset: int, value: int) -> None:
    (place,) = [slot for slot in sample.slots if struct.unpack("<I", sample.read(slot, 4))[0] == 1]
    assert "a sink's" in refusal_of(sample, place + offset, struct.pack("<Q", value))


@linux_spool
@pytest.mark.parametrize("kind", [1, 2, 3, 4])
def test_a_name_without_its_parts_is_damaged(sample, kind: int) -> None:
    # It was read beyond the end of the list of parts.
    front, body = struct.pack("<III", 2, kind, 1), b"xx"
    entry = front + struct.pack("<I", crc32(front + body)) + body
    assert f"name 1 of kind {kind}" in refusal_of(sample, sample.names[0][0], entry)
