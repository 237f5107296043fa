"""Time stamps of records: right against the system's clock, and steady when that clock is not."""

import os
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

probe = pytest.importorskip("tests.probe.time", reason="built with LOGLY_BUILD=probe only")
Calibration = probe.Calibration

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
HOUR = 3600 * SECOND
START_NS = 1_780_000_000 * SECOND
START_TICKS = 987_654_321_987_654  # days of uptime


@pytest.fixture(params=["tsc", "system"])
def clock(request, monkeypatch):
    monkeypatch.setenv("LOGLY_CLOCK", request.param)
    probe.choose_clock()
    yield request.param
    monkeypatch.undo()
    probe.choose_clock()


class PlayedClock:
    """A counter at `hertz`, and a wall clock that can be set."""

    def __init__(self, hertz):
        self.hertz = hertz
        self.now = 0  # nanoseconds since the start
        self.wall_offset = START_NS
        self.counter_offset = START_TICKS
        first = self.anchor()
        self.now += MILLISECOND // 10
        self.calibration = Calibration(first, self.anchor())

    def ticks(self):
        return self.counter_offset + self.now * self.hertz // SECOND

    def wall(self):
        return self.wall_offset + self.now

    def anchor(self, jitter=0):
        return self.ticks(), self.wall() + jitter

    def advance(self, ns, jitter=0):
        """Lets time pass as a flusher would spend it that drains every 10 ms."""
        end = self.now + ns
        while self.now < end:
            self.now = min(end, self.now + 10 * MILLISECOND)
            if self.calibration.is_due(self.ticks()):
                self.calibration.add(*self.anchor(jitter))

    def error(self):
        return self.calibration.ns(self.ticks()) - self.wall()


hertz = st.sampled_from([1_000_000_000, 2_099_999_871, 2_995_203_000, 5_700_000_001])


def test_a_stamp_lies_between_the_system_clocks_readings_before_and_after(clock):
    calibration = Calibration()
    stamps = []
    for i in range(200_000):
        if i % 100 == 0:
            calibration.refresh()
        before = time.time_ns()
        ticks = probe.ticks()
        after = time.time_ns()
        stamps.append((before, calibration.ns(ticks), after))
    assert [s for s in stamps if not s[0] - 1000 <= s[1] <= s[2] + 1000] == []


def test_stamps_taken_before_the_drain_convert_as_well(clock):
    calibration = Calibration()
    stamps = [(time.time_ns(), probe.ticks(), time.time_ns()) for _ in range(100_000)]
    calibration.refresh()
    for before, ticks, after in stamps:
        assert before - 1000 <= calibration.ns(ticks) <= after + 1000


def test_stamps_of_one_thread_never_go_back(clock):
    calibration = Calibration()
    last = 0
    for i in range(100_000):
        if i % 1000 == 0:
            calibration.refresh()
        stamp = calibration.ns(probe.ticks())
        assert stamp >= last
        last = stamp


def test_the_systems_clock_is_used_when_asked_for(monkeypatch):
    monkeypatch.setenv("LOGLY_CLOCK", "system")
    assert not probe.choose_clock()
    assert abs(probe.ticks() - time.time_ns()) < SECOND
    assert Calibration().ns(123) == 123
    monkeypatch.undo()
    probe.choose_clock()


def test_the_counter_is_used_only_where_the_kernel_uses_it(monkeypatch):
    try:
        with open("/sys/devices/system/clocksource/clocksource0/current_clocksource") as file:
            trusted = file.read() == "tsc\n" and os.uname().machine == "x86_64"
    except OSError:
        trusted = False
    monkeypatch.setenv("LOGLY_CLOCK", "tsc")
    assert probe.choose_clock() <= trusted
    monkeypatch.undo()
    probe.choose_clock()


def test_the_monotonic_clock_is_pythons():
    before = time.monotonic_ns()
    now = probe.monotonic_ns()
    assert before <= now <= time.monotonic_ns()


@settings(deadline=None)
@given(hertz, st.lists(st.tuples(st.integers(0, 2 * SECOND), st.integers(-10, 10)), max_size=20))
def test_conversion_is_exact_to_tens_of_nanoseconds_from_the_first_moment(hertz, steps):
    clock = PlayedClock(hertz)
    for ns, jitter in steps:
        clock.advance(ns, jitter)
        assert abs(clock.error()) <= 50


@settings(deadline=None)
@given(hertz, st.integers(1, 24), st.floats(0, 1))
def test_a_backlog_of_hours_keeps_its_times(hertz, hours, part):
    clock = PlayedClock(hertz)
    clock.advance(2 * SECOND)
    at = clock.now
    asked = at + int(hours * HOUR * part)
    clock.now = at + hours * HOUR
    clock.calibration.add(*clock.anchor(jitter=10))
    wall = clock.wall_offset + asked
    assert abs(clock.calibration.ns(clock.counter_offset + asked * hertz // SECOND) - wall) <= 20


@settings(deadline=None)
@given(hertz, st.integers(0, HOUR))
def test_stamps_older_than_the_anchors_convert_by_the_long_baseline(hertz, asked):
    clock = PlayedClock(hertz)
    for jitter in (10, -10, 10, -10, 10):
        clock.advance(SECOND, jitter)
    clock.now = HOUR
    clock.calibration.add(*clock.anchor())
    clock.advance(SECOND, jitter=-10)
    clock.advance(SECOND, jitter=10)
    ticks = clock.counter_offset + asked * hertz // SECOND
    assert abs(clock.calibration.ns(ticks) - clock.wall_offset - asked) <= 50


@settings(deadline=None)
@given(hertz, st.integers(2 * MILLISECOND, 365 * 24 * HOUR), st.sampled_from([-1, 1]))
def test_a_clock_that_is_set_takes_effect_at_once_and_leaves_the_rate_alone(hertz, size, direction):
    clock = PlayedClock(hertz)
    clock.advance(5 * SECOND)
    clock.calibration.add(*clock.anchor())
    old_ticks, old_wall = clock.ticks(), clock.wall()
    clock.now += SECOND
    clock.wall_offset += direction * size
    clock.calibration.add(*clock.anchor())
    assert abs(clock.error()) <= 50
    assert clock.calibration.ns(old_ticks) - old_wall in range(-50, 51)
    clock.now += SECOND // 3
    assert abs(clock.error()) <= 50
    clock.advance(3 * SECOND)
    assert abs(clock.error()) <= 50


@settings(deadline=None)
@given(st.integers(100 * MILLISECOND, HOUR), st.sampled_from([-1, 1]))
def test_a_clock_that_is_set_during_a_long_silence_does_not_bend_the_rate(size, direction):
    clock = PlayedClock(2_995_203_000)
    clock.advance(5 * SECOND)
    clock.now += HOUR
    clock.wall_offset += direction * size
    clock.calibration.add(*clock.anchor())
    clock.now += SECOND // 3
    assert abs(clock.error()) <= 50


def test_a_slewed_clock_is_followed_without_a_jump():
    clock = PlayedClock(3_000_000_000)
    clock.advance(SECOND)
    last = 0
    for _ in range(400):
        clock.advance(10 * MILLISECOND)
        clock.wall_offset -= 5000  # 500 parts per million, the most that adjtime does
        stamp = clock.calibration.ns(clock.ticks())
        assert stamp >= last
        assert abs(stamp - clock.wall()) < MILLISECOND
        last = stamp


def test_a_counter_that_starts_again_starts_a_new_line():
    clock = PlayedClock(3_000_000_000)
    clock.advance(5 * SECOND)
    clock.now += HOUR
    clock.counter_offset = -clock.ticks() + clock.counter_offset + 1000
    clock.calibration.add(*clock.anchor())
    assert abs(clock.error()) <= 50
    clock.advance(3 * SECOND)
    assert abs(clock.error()) <= 50


@settings(deadline=None)
@given(hertz, hertz)
def test_a_counter_whose_rate_changes_is_understood_after_two_anchors(before, after):
    clock = PlayedClock(before)
    clock.advance(5 * SECOND)
    clock.counter_offset = clock.ticks() - clock.now * after // SECOND
    clock.hertz = after
    clock.now += SECOND
    clock.calibration.add(*clock.anchor())
    clock.now += SECOND
    clock.calibration.add(*clock.anchor())
    clock.now += SECOND // 3
    assert abs(clock.error()) <= 50
    clock.advance(5 * SECOND)
    assert abs(clock.error()) <= 50


@settings(deadline=None)
@given(st.lists(st.integers(-3 * SECOND, 3 * SECOND), min_size=2))
def test_a_clock_that_is_set_again_and_again_recovers_when_left_alone(sizes):
    clock = PlayedClock(2_995_203_000)
    clock.advance(SECOND)
    for size in sizes:
        clock.now += SECOND
        clock.wall_offset += size
        clock.calibration.add(*clock.anchor())
    clock.advance(40 * SECOND)
    assert abs(clock.error()) <= 50


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 100 * MILLISECOND), st.integers(-400, 400)), min_size=1, max_size=50))
def test_jittering_anchors_never_turn_time_back(steps):
    clock = PlayedClock(2_995_203_000)
    last = 0
    for ns, jitter in steps:
        clock.now += ns
        stamp = clock.calibration.ns(clock.ticks())
        assert stamp >= last
        if clock.calibration.is_due(clock.ticks()):  # none is taken before
            clock.calibration.add(*clock.anchor(jitter))
        assert clock.calibration.ns(clock.ticks()) >= stamp
        last = clock.calibration.ns(clock.ticks())


def test_an_earlier_stamp_of_another_thread_keeps_its_own_time():
    clock = PlayedClock(1_000_000_000)
    clock.calibration.ns(clock.ticks())
    assert clock.calibration.ns(clock.ticks() - 500_000) == clock.wall() - 500_000


def test_a_calibration_can_be_read_from_its_bytes():
    clock = PlayedClock(2_995_203_000)
    clock.advance(SECOND)
    copy = Calibration.from_bytes(clock.calibration.to_bytes())
    assert copy.ns(clock.ticks()) == clock.calibration.ns(clock.ticks())
