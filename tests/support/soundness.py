"""What must hold for a logger whatever one of its calls was cut by, and for its process."""

from __future__ import annotations

import contextlib
import os

from logly import Logger, SinkConfig
from logly._core import published, sink_ids
from tests.support.loggers import assert_books
from tests.support.waiting import wait_until


def descriptors() -> dict[int, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
    return {fd: target for fd, target in found.items() if not target.endswith(f"/{os.getpid()}/fd")}


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


def assert_sound(logger: Logger) -> None:
    controller = logger._controller
    logger.warning("after the cut")
    assert logger.flush(5), "flush does not return"
    assert controller.core.take_work() == [], "a sink wants work that nobody does"
    wait_until(lambda: sorted(sink_ids(controller.core)) == sorted(controller.sinks), "one list of sinks")
    assert_books(logger)
    # One is lost where the call's own record was: it had not come to its commit, or its function was interrupted.
    assert logger.stats().failed + logger.stats().dropped <= 1, logger.stats()
    # A thread that ends says last what follows a commit now. One whose stop was cut may be about to.
    if controller.flusher.is_stopped:
        wait_until(lambda: not controller.flusher.is_running, "the end of a flusher that is stopped")
    if not controller.flusher.is_running:
        controller.flusher.await_last_line(5)
    wait_until(lambda: not any(overlay.is_left for overlay in controller.layers.overlays), "the end of overlays")
    gate = published(controller.core)
    controller.change(lambda plan: None)
    assert published(controller.core) == gate, "the core goes by other settings than Python"
    late = logger.add_sink(SinkConfig(function=lambda record: None))
    logger.warning("for all")
    assert logger.flush(5)
    assert logger.remove_sink(late)
    logger.remove_all_sinks()
    assert logger.list_sinks() == []
    assert sink_ids(controller.core) == [controller.auto_sink_id][: controller.auto_sink_id is not None]
    assert logger.close(5)
