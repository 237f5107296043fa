"""The byte ring and the records in it, driven without a logger."""

import math
import struct
import sys
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from logly.levels import MAX_LEVEL
from tests.support.threads import run_threads

probe = pytest.importorskip("tests.probe.ring", reason="built with LOGLY_BUILD=probe only")
Ring = probe.Ring

CAPACITY = 256
# Positions are 64-bit and wrap around: a ring may begin anywhere on 8.
STARTS = [0, 8, CAPACITY - 8, CAPACITY, 2**32 - 8, 2**63 - 8, 2**64 - CAPACITY, 2**64 - 64, 2**64 - 8]


@pytest.fixture(params=STARTS)
def ring(request):
    return Ring(CAPACITY, request.param - request.param % 8)


def drained(ring):
    payloads = []
    while (payload := ring.consume()) is not None:
        payloads.append(payload)
    ring.release()
    return payloads


def test_records_come_out_as_they_went_in(ring):
    assert ring.peek() is None
    for lap in range(50):
        payloads = [bytes([lap, i]) * i for i in range(5)]
        assert all(ring.push(payload) for payload in payloads)
        assert ring.peek() == payloads[0]
        assert drained(ring) == payloads
    assert ring.used == 0
    assert ring.committed == 250


def test_a_ring_can_be_filled_to_the_last_byte():
    ring = Ring(CAPACITY)
    for i in range(CAPACITY // 32):
        assert ring.push(bytes([i]) * 24)
    assert ring.used == CAPACITY
    assert not ring.push(b"")
    assert drained(ring) == [bytes([i]) * 24 for i in range(CAPACITY // 32)]


def test_a_full_ring_has_room_again_only_after_the_release(ring):
    count = 0
    while ring.push(b"12345678"):
        count += 1
    # Where the lap ends between two records, its last 8 bytes stay empty.
    assert count == (CAPACITY - ring.positions[1] % 16) // 16
    assert ring.consume() == b"12345678"
    assert not ring.push(b"12345678")
    ring.release()
    assert ring.push(b"12345678")
    assert not ring.push(b"1234567890")
    assert len(drained(ring)) == count


def test_a_record_that_fits_exactly_needs_no_padding():
    ring = Ring(CAPACITY, CAPACITY - 32)
    head = ring.positions[0]
    assert ring.push(b"x" * 24)
    assert ring.positions[0] == head + 32
    assert ring.window[0] == 0


def test_a_record_that_does_not_fit_into_the_lap_begins_the_next():
    ring = Ring(CAPACITY, CAPACITY - 24)
    head = ring.positions[0]
    assert ring.push(b"x" * 24)
    assert ring.positions[0] == head + 24 + 32
    assert ring.window[0] == 32
    assert drained(ring) == [b"x" * 24]


def test_padding_becomes_visible_with_its_record_only():
    ring = Ring(CAPACITY, CAPACITY - 8)
    assert ring.reserve(32) == 0
    assert ring.peek() is None
    assert ring.positions == (CAPACITY - 8, CAPACITY - 8)
    # Given up: the next reservation starts after the padding, and what is pushed then is what is read.
    assert ring.push(b"next")
    assert drained(ring) == [b"next"]


def test_padding_counts_as_used():
    ring = Ring(CAPACITY, CAPACITY - 24)
    assert ring.push(b"x" * (CAPACITY - 24 - 8))  # with the padding: the whole ring
    assert ring.used == CAPACITY
    assert not ring.push(b"")
    assert len(drained(ring)) == 1


def test_the_largest_inline_record_fits_wherever_the_lap_ends():
    for offset in range(0, CAPACITY, 8):
        ring = Ring(CAPACITY, offset)
        payload = b"m" * (ring.max_inline - 8)
        assert ring.push(payload)
        assert drained(ring) == [payload]


def test_more_than_the_ring_is_refused(ring):
    assert not ring.push(b"x" * CAPACITY)
    assert ring.reserve(CAPACITY + 8) is None
    assert ring.push(b"small")
    assert drained(ring) == [b"small"]


def test_the_fast_way_takes_what_is_known_to_be_free_and_nothing_else():
    ring = Ring(1024)
    sent = []
    while ring.encode_in_place(f"message {len(sent)}") == "encoded":
        sent.append(f"message {len(sent)}")
    assert ring.window[1] < 64
    received = []
    while (message := ring.consume_message()) is not None:
        received.append(message)
    assert received == sent
    assert ring.encode_in_place("x", limit=8) == "no room"


@pytest.mark.parametrize("start", [0, 2**64 - 4096])
def test_two_threads_agree_on_every_record(start):
    ring = Ring(1024, start)
    count = 300_000
    _, wrong = run_threads(lambda: ring.produce_numbers(count), lambda: ring.consume_numbers(count))
    assert wrong is None
    assert ring.used == 0
    assert ring.committed == count


class RingMachine(RuleBasedStateMachine):
    """Against a deque: the same records in the same order, and never more bytes than there are."""

    @initialize(capacity=st.sampled_from([64, 256, 1024]), start=st.integers(0, 2**61 - 1), near_end=st.booleans())
    def begin(self, capacity, start, near_end):
        self.capacity = capacity
        self.start = (2**64 - 8 * (start % 200) - 8) if near_end else 8 * start
        self.ring = Ring(capacity, self.start)
        self.waiting = deque()
        self.unreleased = 0
        self.pushed = 0

    @rule(size=st.integers(0, 300), byte=st.integers(0, 255))
    def push(self, size, byte):
        payload = bytes([byte]) * size
        needed = 8 + (size + 7) // 8 * 8
        head, tail = self.ring.positions
        free = self.capacity - (head - tail) % 2**64
        accepted = self.ring.push(payload)
        if accepted:
            self.waiting.append(payload)
            self.pushed += 1
        lap_left = self.capacity - head % self.capacity
        # A refused reservation may have padded nothing; one that was given up may have: so only bounds here.
        assert not accepted or needed <= free
        assert accepted or needed + (lap_left if lap_left < needed else 0) > free

    @rule()
    def consume(self):
        assert self.ring.consume() == (self.waiting.popleft() if self.waiting else None)

    @rule()
    def release(self):
        self.ring.release()
        if not self.waiting:
            assert self.ring.used == 0

    @precondition(lambda self: self.waiting)
    @rule()
    def peek_is_repeatable(self):
        assert self.ring.peek() == self.ring.peek() == self.waiting[0]

    @invariant()
    def is_within_its_bounds(self):
        assert 0 <= self.ring.used <= self.capacity
        assert self.ring.committed == self.pushed


TestRingMachine = RingMachine.TestCase
TestRingMachine.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)


# ---- values

POWERS = [2**bits for bits in (0, 7, 15, 29, 30, 31, 32, 59, 60, 61, 62, 63)]
AROUND = {sign * (power + more) for power in POWERS for more in (-1, 0, 1) for sign in (1, -1)}
BOUNDARIES = sorted({n for n in AROUND if n >= -(2**63)} | {2**64 - 1, 2**64 - 2})


@pytest.mark.parametrize("value", BOUNDARIES)
def test_every_int_of_64_bits_is_copied(value):
    kind, read, size = probe.value_roundtrip(value, 9)
    assert (kind, read, type(read), size) == (4, value, int, 9)


@pytest.mark.parametrize(
    "value", [2**64, 2**64 + 1, -(2**63) - 1, -(2**64), 10**5000, 2**90, 2**93 + 1, 1 << 120], ids=hex
)
def test_a_larger_int_is_not_native(value):
    assert probe.value_roundtrip(value, 100) == (0, None, 0)


@pytest.mark.parametrize("value", [0.0, -0.0, 1.5, math.inf, -math.inf, math.nan, 5e-324, sys.float_info.max])
def test_a_float_keeps_its_bits(value):
    _, read, size = probe.value_roundtrip(value, 9)
    assert struct.pack("d", read) == struct.pack("d", value)
    assert size == 9


@pytest.mark.parametrize("value", [None, True, False])
def test_a_constant_takes_one_byte(value):
    _, read, size = probe.value_roundtrip(value, 1)
    assert read is value
    assert size == 1


TEXTS = st.one_of(
    st.text(st.characters(max_codepoint=0x7F)),
    st.text(st.characters(max_codepoint=0xFF)),
    st.text(st.characters(max_codepoint=0xFFFF, codec=None)),
    st.text(st.characters(codec=None)),
)


@given(TEXTS)
def test_a_str_keeps_its_code_units(text):
    _, read, size = probe.value_roundtrip(text, 5 + 4 * len(text))
    assert read == text
    width = 1 if max(text, default="") < "\u0100" else 2 if max(text) < "\U00010000" else 4
    assert size == 5 + width * len(text)


@pytest.mark.parametrize(
    "text", ["", "\0", "a\0b", "\ud800", "\udfff\ud800", "é", "\xff", "€", "\uffff", "😀", "\U0010ffff"]
)
def test_every_kind_of_str(text):
    assert probe.value_roundtrip(text, 100)[1] == text


def test_two_surrogates_side_by_side_stay_two():
    assert probe.value_roundtrip("\ud800\udc00", 100)[1] == "\ud800\udc00"


@given(st.binary())
def test_bytes_are_copied(data):
    assert probe.value_roundtrip(data, 5 + len(data))[1] == data


@pytest.mark.parametrize("value", [1, 2**63, 1.5, None, True, "text", "é€", "😀" * 3, b"bytes"])
def test_without_room_nothing_is_written_past_the_end(value):
    _, _, size = probe.value_roundtrip(value, 100)
    for room in range(size):
        assert probe.value_roundtrip(value, room) == (-1, None, 0)


class OwnInt(int):
    pass


class OwnStr(str):
    pass


@pytest.mark.parametrize("value", [OwnInt(1), OwnStr("s"), [], {}, object(), 1j, bytearray(b"x"), int, ...])
def test_anything_else_is_not_native(value):
    assert probe.value_roundtrip(value, 100)[0] == 0


# ---- records

NATIVE = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False), TEXTS, st.binary()
)
SHORT = st.text(st.characters(codec=None), max_size=12)


@given(
    message=SHORT,
    fields=st.dictionaries(st.text(st.characters(max_codepoint=0xFF), max_size=12), NATIVE, max_size=8),
    site=st.none() | st.tuples(SHORT, SHORT, SHORT, st.integers(0, 2**31 - 1)),
    thread_name=st.none() | SHORT,
    exception=st.none() | st.tuples(SHORT, SHORT, SHORT, SHORT),
    level_number=st.integers(0, MAX_LEVEL),
    process=st.integers(0, 2**64 - 1),
    time_ns=st.none() | st.integers(-(2**63), 2**63 - 1),
)
def test_the_consumer_finds_every_part_of_a_record(
    message, fields, site, thread_name, exception, level_number, process, time_ns
):
    given = (message, fields, site, thread_name, exception, level_number, process, time_ns)
    assert probe.record_roundtrip(*given) == (*given, 77)


def test_a_header_has_32_bytes():
    assert probe.HEADER_BYTES == 32
