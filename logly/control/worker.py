"""Whether `multiprocessing` has started this process, and how it will end the process."""

from __future__ import annotations

import sys

__all__ = ["is_ended_by_a_signal", "is_worker"]


def is_worker() -> bool:
    """Whether `multiprocessing` has started this process."""
    module = sys.modules.get("multiprocessing.process")
    return module is not None and module.parent_process() is not None


def is_ended_by_a_signal() -> bool:
    """Whether it is a daemonic process of `multiprocessing`, as a `Pool`'s worker.

    `Pool.terminate`, which the end of a ``with`` calls, and the parent's exit end such processes by SIGTERM. So nothing
    of them may wait to be written.
    """
    return is_worker() and bool(sys.modules["multiprocessing.process"].current_process().daemon)
