"""What all loggers of a process do at its exit and at a fork."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import weakref

from logly._core import after_fork_in_child, after_fork_in_parent, before_fork, child_is_settled, end_without_gil
from logly.errors import Advice
from logly.system.unpatched import monotonic

from .sinks import exit_patience_s
from .worker import is_ended_by_a_signal, is_worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .controller import Controller

__all__ = ["add", "controllers", "has_started", "is_exiting", "watchers"]

HOUSEKEEPING_AT_EXIT_S = 10.0
"""How long the exit waits for compression that is under way."""

MANY_THREADS = 8
"""Of loggers. A process with more of them is told about loggers that share a thread."""

untold = [True]
"""Empties when the process is told of its many loggers. A forked child is not told again."""

watchers: list[Callable[[Controller], object]] = []
"""Called with each logger's controller when it is made: those of `logly.capture`. A forked child has none of them."""

if "logly_pytest" in sys.modules:  # the plugin does not import logly, and waits for the first logger
    watchers.append(sys.modules["logly_pytest"].logger_is_made)

is_exiting = False
_references: dict[weakref.ref[Controller], None] = {}
"""To each controller, in the order in which they were made. C code removes them: in Python code that runs because an
object ends, as that of a WeakValueDictionary, a Ctrl-C is reported and lost.
"""
_finalizer: Any = None  # a multiprocessing.util.Finalize, in a child process of multiprocessing
_finalizer_pid = 0
_is_told_of_start = False  # multiprocessing calls `_has_become_worker` when it has started a process


def add(controller: Controller) -> None:
    """Register a controller for the exit and for forks. Only a weak reference to it is kept."""
    controller.core.identity = os.urandom(16)
    _references[weakref.ref(controller, _references.pop)] = None
    for tell in watchers.copy():  # other threads add and remove some
        tell(controller)
    _listen_to_multiprocessing()
    _finish_with_multiprocessing()


def controllers() -> list[Controller]:
    """All controllers, in the order in which they were made. Other threads may make loggers and drop them meanwhile."""
    found = []
    for reference in list(_references):  # made at once: an iteration fails when another thread adds one
        controller = reference()
        if controller is not None:
            found.append(controller)
    return found


def has_started(controller: Controller) -> None:
    """Tells the program, once, that many loggers have threads of their own. `controller` has just started one."""
    if not untold:
        return
    running = 0
    for one in controllers():
        running += one.flusher.is_running and not one.is_recovery
    if running > MANY_THREADS:
        try:
            untold.pop()
        except IndexError:  # another thread tells it
            return
        text = (
            f"{running} loggers are at work in this process, each with a thread and a ring of its own: for a logger in "
            "each module use logly.get_logger(name) or logger.named(name), which share one thread (told once)"
        )
        controller.report(Advice(text))


def flush_at_exit(controller: Controller, spent_s: float) -> float:
    """Waits as long as some sink of the logger makes progress.

    Args:
        controller: of the logger.
        spent_s: so long this exit has waited in vain already: the patience with batch sinks is one for all loggers.

    Returns:
        The same with what was waited in vain here.
    """
    core, patience_s = controller.core, controller.patience_s
    # What `close` waits after this is a part of it.
    left_s = exit_patience_s(controller.sinks.values(), patience_s) - patience_s - spent_s
    before, began = core.progress(), monotonic()
    core.await_batches(left_s + patience_s)
    while not core.flush(max(patience_s, left_s)):
        if (now := core.progress()) == before:
            return spent_s + monotonic() - began
        before, began = now, monotonic()
        core.await_batches(left_s + patience_s)
    return spent_s


@atexit.register
def _finish_all() -> None:
    global is_exiting
    is_exiting = True
    # In a sub-interpreter that is still alive at the end of the process. If a thread of logly's is left nevertheless,
    # this goes on, and ends the process: CPython ends the thread that releases the GIL.
    if sys.is_finalizing() and end_without_gil():
        for controller in controllers():
            controller.has_ended = True
        return
    interrupt = None
    spent_s = 0.0
    for controller in controllers():
        try:
            spent_s = controller.finish(spent_s)
        except BaseException as trouble:  # noqa: BLE001  # after Ctrl-C during one logger, the others are written too
            interrupt = trouble
            if is_worker():  # SIGTERM with a handler that exits: what is logged is written, and then the process ends
                _finish_again(controller)
    module = sys.modules.get("logly.files.housekeeper")
    if module is not None:
        module.housekeeper.drain(HOUSEKEEPING_AT_EXIT_S)
    if interrupt is not None:
        raise interrupt


def _finish_again(controller: Controller) -> None:
    with contextlib.suppress(BaseException):  # the first one is raised in the end
        controller.finish()


def _after_fork_in_child() -> None:
    if child_is_settled():
        # Another library's fork hook has forked. This process has been prepared already, and what was logged since
        # then is its own.
        after_fork_in_child()
        return
    watchers.clear()
    live = controllers()
    # This comes first: while the engines are not reset, their rings are in the parent's file and must not be emptied.
    for controller in live:
        controller.core.leave_spools(True)
    after_fork_in_child()
    spools = sys.modules.get("logly.spool.spools")
    if spools is not None and hasattr(spools, "close_in_child"):  # the module may be half imported
        spools.close_in_child()
    for controller in live:
        try:
            controller.after_fork_in_child()
        except Exception as trouble:  # noqa: BLE001  # the other loggers must work nevertheless
            controller.report(trouble)
    _listen_to_multiprocessing()


def _listen_to_multiprocessing() -> None:
    global _is_told_of_start
    util = sys.modules.get("multiprocessing.util")
    if util is not None and not _is_told_of_start:
        _is_told_of_start = True
        # Children of multiprocessing end by os._exit, without atexit. multiprocessing clears its finalizers before it
        # calls this hook. A process knows only then that it is a worker: a spawned one has imported its modules before.
        util.register_after_fork(_finish_all, lambda _: _has_become_worker())


def _has_become_worker() -> None:
    _finish_with_multiprocessing()
    if is_ended_by_a_signal():
        for controller in controllers():
            controller.change(lambda plan: plan.follow_worker())


def _finish_with_multiprocessing() -> None:
    global _finalizer, _finalizer_pid
    util = sys.modules.get("multiprocessing.util")
    if util is None or not is_worker():
        return
    if _finalizer is None or _finalizer_pid != os.getpid() or not _finalizer.still_active():
        _finalizer_pid = os.getpid()
        _finalizer = util.Finalize(None, _finish_all, exitpriority=0)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=before_fork, after_in_parent=after_fork_in_parent, after_in_child=_after_fork_in_child)
