"""The flight recorder's memory, driven without a logger, against a model."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

probe = pytest.importorskip("tests.probe.recorder", reason="built with LOGLY_BUILD=probe only")

CAPACITY = 1024
STARTS = [0, 8, CAPACITY - 8, CAPACITY, 2**32 - 8, 2**64 - CAPACITY, 2**64 - 8]
ALL = 2**64 - 1


def record_bytes(payload: bytes) -> int:
    return (probe.HEADER_BYTES + len(payload) + 7) & ~7


def entry_bytes(payload: bytes, *, is_heap: bool) -> int:
    return probe.HEAP_ENTRY_BYTES if is_heap else probe.ENTRY_BYTES + record_bytes(payload)


class Model:
    """What a recorder holds: (payload, is in a block, time, hash, late, before)."""

    def __init__(self) -> None:
        self.entries: list[tuple[bytes, bool, int, int, int, int]] = []
        self.overwritten = 0
        self.late = 0
        self.taken = 0


class Recording(RuleBasedStateMachine):
    """Random work with a recorder. Entries leave it oldest first. A late one that no sink has written never does."""

    @initialize(start=st.sampled_from(STARTS), bits=st.integers(8, 12))
    def begin(self, start: int, bits: int) -> None:
        self.capacity = 1 << bits
        self.recorder = probe.Recorder(self.capacity, start - start % 8)
        self.model = Model()
        self.delivered = 0
        self.serial = 0

    def follow_losses(self) -> None:
        """What is gone from the recorder must have been the oldest."""
        found = self.recorder.entries()
        gone = len(self.model.entries) - len(found)
        assert gone >= 0
        assert self.model.entries[gone:] == found
        for entry in self.model.entries[:gone]:
            assert entry[4] <= self.delivered, "a late entry that is not delivered is gone"
            self.model.overwritten += entry[4] == 0
        self.model.entries = found

    @rule(size=st.integers(0, 1500), is_heap=st.booleans(), hashed=st.integers(0, 3))
    def keep(self, size: int, is_heap: bool, hashed: int) -> None:
        self.serial += 1
        payload = (struct.pack("<Q", self.serial) * (size // 8 + 1))[:size]
        used = self.recorder.used + self.recorder.counts[2]
        needed = entry_bytes(payload, is_heap=is_heap) + (record_bytes(payload) if is_heap else 0)
        waits = any(entry[4] > self.delivered for entry in self.model.entries)
        before = len(self.model.entries)
        is_kept = self.recorder.keep(payload, is_heap, self.serial, hashed, self.delivered)
        self.model.taken += 1
        if is_kept:
            self.model.entries.append((payload, is_heap, self.serial, hashed, 0, 0))
        else:
            self.model.overwritten += 1
        self.follow_losses()
        if needed > self.capacity:
            assert not is_kept
        elif not waits:
            assert is_kept, "there was room, when the older ones are gone"
        if used + 2 * needed <= self.capacity:
            assert is_kept
            assert len(self.model.entries) == before + 1, "an entry was removed, though there was room"

    @rule(data=st.data(), before=st.integers(0, 5))
    @precondition(lambda self: any(entry[4] == 0 for entry in self.model.entries))
    def dump(self, data: st.DataObject, before: int) -> None:
        """Makes some entries late, oldest first."""
        places = [i for i, entry in enumerate(self.model.entries) if entry[4] == 0]
        for place in sorted(data.draw(st.sets(st.sampled_from(places), min_size=1))):
            self.recorder.make_late(place, before)
            self.model.late += 1
            self.model.entries[place] = (*self.model.entries[place][:4], self.model.late, before)

    @rule(data=st.data())
    @precondition(lambda self: self.delivered < self.model.late)
    def deliver(self, data: st.DataObject) -> None:
        self.delivered = data.draw(st.integers(self.delivered + 1, self.model.late))

    @rule()
    def trim(self) -> None:
        self.recorder.trim(self.delivered)
        self.follow_losses()
        if self.model.entries and self.model.entries[0][4]:
            assert self.model.entries[0][4] > self.delivered

    @rule(bits=st.integers(7, 12))
    def move(self, bits: int) -> None:
        """To a recorder of another size: what was given to no sink is kept again."""
        target = probe.Recorder(1 << bits)
        kept = [(*entry[:4], 0, 0) for entry in self.model.entries if entry[4] == 0 or entry[4] > self.delivered]
        fates = len(kept) + self.model.overwritten
        self.recorder.move_to(target, self.delivered)
        assert self.recorder.entries() == []
        assert self.recorder.counts[:3] == (0, 0, 0)
        found = [(*entry[:5], 0) for entry in target.entries()]
        assert [entry for entry in kept if entry in found] == found  # in order; some found no place
        assert target.counts[0] + target.counts[1] == fates
        self.recorder, self.capacity = target, 1 << bits
        self.model.entries = target.entries()
        self.model.overwritten = target.counts[1]
        self.model.late = self.delivered = self.model.taken = 0

    @invariant()
    def counts_are_right(self) -> None:
        self.recorder.check_bounds()
        assert self.recorder.entries() == self.model.entries
        kept = sum(entry[4] == 0 for entry in self.model.entries)
        blocks = sum(record_bytes(entry[0]) for entry in self.model.entries if entry[1])
        assert self.recorder.counts == (kept, self.model.overwritten, blocks, self.model.late, self.model.taken)
        assert self.recorder.recount() == (kept, blocks)
        assert self.recorder.used + blocks <= self.capacity or len(self.model.entries) <= 1


TestRecording = Recording.TestCase
TestRecording.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)


@given(st.lists(st.integers(0, 900), min_size=1, max_size=200), st.sampled_from(STARTS))
def test_the_newest_records_are_there_whatever_their_sizes(sizes: list[int], start: int) -> None:
    recorder = probe.Recorder(CAPACITY, start - start % 8)
    payloads = [struct.pack("<Q", i) * (size // 8) for i, size in enumerate(sizes)]
    for i, payload in enumerate(payloads):
        assert recorder.keep(payload, False, i, 0, ALL)
        assert recorder.entries()[-1][0] == payload
    found = [entry[0] for entry in recorder.entries()]
    assert found == payloads[-len(found) :]
    assert recorder.counts[:2] == (len(found), len(payloads) - len(found))
