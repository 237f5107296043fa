"""Threads whose failures show."""

import threading
from collections.abc import Callable
from typing import Any

PATIENCE_S = 300.0


def run_threads(*works: Callable[[], Any]) -> list[Any]:
    """Runs each in a thread of its own, all at the same time; returns what they return, raises what one has raised."""
    results: list[Any] = [None] * len(works)
    errors: list[BaseException] = []
    start = threading.Barrier(len(works))

    def run(i: int, work: Callable[[], Any]) -> None:
        try:
            start.wait(PATIENCE_S)
            results[i] = work()
        except BaseException as error:  # noqa: BLE001  # raised again on the test's thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i, work), daemon=True) for i, work in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "a thread hangs"
    if errors:
        raise errors[0]
    return results


def flusher_threads(name: str) -> list[threading.Thread]:
    """The thread of a logger's flusher, if there is one."""
    return [thread for thread in threading.enumerate() if thread.name == f"logly-flusher-{name}"]
