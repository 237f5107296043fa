"""The eventcount: no wake-up is lost, no wait outlives its reason."""

import os
import signal
import sys
import threading
import time

import pytest

probe = pytest.importorskip("tests.probe.event", reason="built with LOGLY_BUILD=probe only")
Event = probe.Event

LONG_NS = 60_000_000_000


def in_thread(work):
    """Starts `work`; the function it returns joins the thread and hands back the result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()

    def join():
        thread.join(30)
        assert results, "the thread still waits"
        return results[0]

    return join


def test_a_wait_without_a_signal_ends_with_its_time():
    event = Event()
    before = time.monotonic_ns()
    assert not event.wait(event.prepare(), 1_000_000)
    assert time.monotonic_ns() - before >= 1_000_000
    assert not event.wait(event.prepare(), 0)


def test_a_signal_between_ticket_and_wait_is_not_lost():
    event = Event()
    ticket = event.prepare()
    event.signal()
    assert event.wait(ticket)
    assert event.wait(ticket, LONG_NS)


def test_a_signal_before_the_ticket_does_not_count():
    event = Event()
    event.signal()
    assert not event.wait(event.prepare(), 1000)


def test_one_signal_wakes_all_who_wait():
    event = Event()
    ticket = event.prepare()
    joins = [in_thread(lambda: event.wait(ticket)) for _ in range(4)]
    event.signal()
    assert [join() for join in joins] == [True] * 4


def test_waiting_lets_other_threads_run():
    event, begun = Event(), threading.Event()
    ticket = event.prepare()

    def wait():
        begun.set()
        return event.wait(ticket)

    join = in_thread(wait)
    assert begun.wait(30)
    event.signal()
    assert join()


def test_two_threads_hand_each_other_the_turn_without_losing_one():
    ping, pong = Event(), Event()
    rounds = 20_000
    join = in_thread(lambda: probe.ping_pong(ping, pong, rounds, False))
    assert probe.ping_pong(pong, ping, rounds, True) == 0
    assert join() == 0


def test_the_ticket_may_wrap_around():
    event = Event()
    event.signal_many(3)
    assert event.wait(2**32 - 1, LONG_NS)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX interval timers")
def test_a_signal_handler_may_signal_the_event_it_interrupts():
    event = Event()
    ticket = event.prepare()
    before = signal.signal(signal.SIGALRM, lambda *_: event.signal())
    try:
        # Again and again: one may come before the wait begins. Python runs the handler between waits.
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        while not event.wait(ticket, LONG_NS if sys.platform == "linux" else 1_000_000):
            pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_can_use_the_event_that_a_thread_of_its_parent_waits_on():
    event = Event()
    ticket = event.prepare()
    join = in_thread(lambda: event.wait(ticket))
    child = os.fork()
    if child == 0:
        event.init()
        ticket = event.prepare()
        event.signal()
        os._exit(0 if event.wait(ticket, LONG_NS) else 1)
    assert os.waitpid(child, 0)[1] == 0
    event.signal()
    assert join()
