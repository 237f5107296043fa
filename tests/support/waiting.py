"""Waiting for an event, with a deadline that is only there for a test that fails."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 60.0


def wait_until(is_true: Callable[[], Any], what: str = "the event", patience_s: float = PATIENCE_S) -> Any:
    """Polls until `is_true()` and returns its value; fails, naming `what`, when it does not become true."""
    deadline = time.monotonic() + patience_s
    while not (value := is_true()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience_s} s for {what}")
        time.sleep(0.002)
    return value
