"""numpy's scalars and arrays as fields."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tests.support.lines import Lines

np: Any = pytest.importorskip("numpy")


@pytest.fixture(scope="module")
def lines():
    with Lines(json=True) as lines:
        yield lines


def shown(lines: Lines, value: Any) -> Any:
    lines.logger.info("x", value=value, inside=[value])
    found = lines.object()
    assert found["inside"] == [found["value"]]
    return found["value"]


SCALARS = [
    *[(kind(3), 3) for kind in (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64)],
    (np.uint64(2**64 - 1), 2**64 - 1),
    (np.bool_(True), True),
    (np.float16(1.5), 1.5),
    (np.float32(0.1), float(np.float32(0.1))),
    (np.float64(0.1), 0.1),
    (np.longdouble(1.5), 1.5),
    (np.float32("nan"), None),
    (np.complex64(1 + 2j), "(1+2j)"),
    (np.complex128(1 + 2j), "(1+2j)"),
    (np.str_("text"), "text"),
    (np.bytes_(b"a\xff"), "a\\xff"),
    (np.datetime64("2026-03-01T13:05:09.123456789"), "2026-03-01T13:05:09.123456789"),
    (np.datetime64("2026-03-01"), "2026-03-01"),
    (np.datetime64("NaT"), None),
    (np.timedelta64(5, "s"), "5 seconds"),
]


@pytest.mark.parametrize(("value", "read"), SCALARS, ids=lambda value: type(value).__name__)
def test_a_scalar_is_a_number(lines, value, read):
    found = shown(lines, value)
    assert (found, type(found)) == (read, type(read))


@pytest.mark.parametrize("shape", [(), (0,), (1,), (64,), (8, 8), (2, 2, 16), (2, 0)], ids=str)
@pytest.mark.parametrize("kind", ["i1", "u8", "f4", "f8", "?", "O"])
def test_an_array_of_up_to_64_elements_is_a_list(lines, shape, kind):
    array = np.ones(shape, kind)
    assert shown(lines, array) == array.tolist()


@pytest.mark.parametrize("shape", [(65,), (5, 13), (1000, 3), (10**9, 0), (10**5, 10**5)], ids=str)
def test_a_larger_one_is_text_with_its_shape(lines, shape):
    array = np.broadcast_to(np.float32(1), shape)
    assert shown(lines, array) == f"ndarray(shape={shape}, dtype=float32)"


def test_arrays_of_other_kinds(lines):
    times = np.array(["2026-03-01T00:00:00.000000001", "NaT"], "M8[ns]")
    assert shown(lines, times) == ["2026-03-01T00:00:00.000000001", None]
    assert shown(lines, times.reshape(2, 1)) == [["2026-03-01T00:00:00.000000001"], [None]]
    assert shown(lines, times[0:1].reshape(())) == "2026-03-01T00:00:00.000000001"
    assert shown(lines, np.array([1.5, np.nan, np.inf])) == [1.5, None, None]
    assert shown(lines, np.array(["a", "b"])) == ["a", "b"]
    assert shown(lines, np.ma.array([1, 2], mask=[False, True])) == [1, None]
    assert shown(lines, np.zeros(2, [("a", "i4"), ("b", "f8")])) == [[0, 0.0], [0, 0.0]]
    itself = np.array([None], object)
    itself[0] = itself
    lines.logger.info("x", value=itself)
    assert lines.object()["value"] == ["..."]


def test_numbers_are_keys(lines):
    assert shown(lines, {np.int64(3): 1, np.float32(1.5): 2, np.bool_(True): 3}) == {"3": 1, "1.5": 2, "true": 3}


def test_numpy_is_not_imported():
    code = (
        "import sys, datetime, logly\n"
        "logger = logly.Logger(logly.LoggerConfig(json=True))\n"
        "logger.info('x', value=[datetime.date(2026, 3, 1), {1}, object()])\n"
        "logger.close()\n"
        "assert not {'numpy', 'dataclasses', 'attr', 'pydantic'} & set(sys.modules), sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
