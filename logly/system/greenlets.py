"""What logly does in a program with greenlets (gevent, eventlet): other greenlets run while one waits for the flusher.

A sink's function may need a lock that a greenlet of the waiting thread holds. If that thread slept, the lock would
never be released.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Sleep = Callable[[float], object]

__all__ = ["current", "is_eventlet", "prepare_threads", "run_others"]

TURN_S = 0.005


def run_others() -> bool:
    """Give the calling thread's other greenlets a turn of `TURN_S`.

    Returns:
        False where that is not possible: the thread has no hub, or the hub itself makes this call (from a callback of
        its loop), and while the hub waits no greenlet can run.
    """
    sleep = _gevent() or _eventlet()
    if sleep is None:
        return False
    sleep(TURN_S)
    return True


def _gevent() -> Sleep | None:
    hubs, gevent = sys.modules.get("gevent._hub_local"), sys.modules.get("gevent")
    hub = hubs.get_hub_if_exists() if hubs is not None else None
    if hub is None or gevent is None or hub.dead or current() is hub:
        return None
    sleep: Sleep = gevent.sleep
    return sleep


def _eventlet() -> Sleep | None:
    hubs, eventlet = sys.modules.get("eventlet.hubs"), sys.modules.get("eventlet")
    hub = getattr(hubs._threadlocal, "hub", None) if hubs is not None else None
    if hub is None or eventlet is None or current() is hub.greenlet:
        return None
    sleep: Sleep = eventlet.sleep
    return sleep


def current() -> object:
    """The greenlet that runs; None in a program without greenlets."""
    greenlet = sys.modules.get("greenlet._greenlet")  # complete as soon as it is there
    return greenlet.getcurrent() if greenlet is not None else None


def prepare_threads() -> None:
    """Make gevent's hub in this thread if gevent has patched locks. Call before starting a thread that runs functions.

    gevent imports modules for its first hub. Two threads that make their first hubs at the same time wait for each
    other for ever, because the import locks are gevent's too.
    """
    monkey, gevent = sys.modules.get("gevent.monkey"), sys.modules.get("gevent")
    if monkey is not None and gevent is not None and monkey.is_module_patched("threading"):
        gevent.get_hub()


def is_eventlet() -> bool:
    """Whether eventlet has replaced the locks of `threading` by its own, which do not work between threads."""
    patcher = sys.modules.get("eventlet.patcher")
    return patcher is not None and bool(patcher.is_monkey_patched("thread"))
