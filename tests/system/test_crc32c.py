"""CRC-32C: by the processor's instruction and by tables, whole and in pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

probe = pytest.importorskip("tests.probe.ring", reason="the probe is not built")


def crc32c_bit_by_bit(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_the_check_value_of_the_catalogue() -> None:
    assert probe.crc32c_of(b"123456789") == (0xE3069283, 0xE3069283)


@given(st.binary(max_size=100), st.integers(0, 100))
def test_both_ways_and_pieces_give_the_definitions_sum(data: bytes, cut: int) -> None:
    expected = crc32c_bit_by_bit(data)
    assert probe.crc32c_of(data) == (expected, expected)
    for first in probe.crc32c_of(data[:cut]):
        assert probe.crc32c_of(data[cut:], first) == (expected, expected)
