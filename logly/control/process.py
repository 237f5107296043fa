"""What all loggers of a process do at its exit and at a fork."""

from __future__ import annotations

import atexit
import os
import sys
import weakref

from logly._core import after_fork_in_child, after_fork_in_parent, before_fork, child_is_settled, end_without_gil
from logly.errors import LoglyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .controller import Controller

__all__ = ["add", "is_exiting"]

HOUSEKEEPING_AT_EXIT_S = 10.0
"""How long the exit waits for compression that is under way."""

FEW_ENGINES = 8
"""With more engines than that, a program probably has an engine for each module or connection."""

is_exiting = False
has_told_of_engines = False
_controllers: weakref.WeakSet[Controller] = weakref.WeakSet()
_finalizer: Any = None  # a multiprocessing.util.Finalize, in a child process of multiprocessing
_finalizer_pid = 0


def add(controller: Controller) -> None:
    """Register a controller for the exit and for forks. Only a weak reference to it is kept."""
    _controllers.add(controller)
    if len(_controllers) > FEW_ENGINES and not has_told_of_engines:
        _tell_of_engines(controller)
    _finish_with_multiprocessing()


def _tell_of_engines(controller: Controller) -> None:
    global has_told_of_engines
    engines = sum(not one.has_ended for one in list(_controllers))
    if engines > FEW_ENGINES:
        has_told_of_engines = True
        text = (
            f"{engines} loggers with a thread and a ring each: every `Logger(...)` has its own. A logger for a module, "
            "a component or a connection is made by `logger.named(name)` or `logly.get_logger(name)`: these share them"
        )
        controller.report(LoglyError(text))


@atexit.register
def _finish_all() -> None:
    global is_exiting
    is_exiting = True
    # In a sub-interpreter that is still alive at the end of the process. If a thread of logly's is left nevertheless,
    # this goes on, and ends the process: CPython ends the thread that releases the GIL.
    if sys.is_finalizing() and end_without_gil():
        for controller in list(_controllers):
            controller.has_ended = True
        return
    interrupt = None
    for controller in list(_controllers):
        try:
            controller.finish()
        except BaseException as trouble:  # noqa: BLE001  # after Ctrl-C during one logger, the others are written too
            interrupt = trouble
    module = sys.modules.get("logly.files.housekeeper")
    if module is not None:
        module.housekeeper.drain(HOUSEKEEPING_AT_EXIT_S)
    if interrupt is not None:
        raise interrupt


def _after_fork_in_child() -> None:
    if child_is_settled():
        # Another library's fork hook has forked. This process has been prepared already, and what was logged since
        # then is its own.
        after_fork_in_child()
        return
    controllers = list(_controllers)
    # This comes first: while the engines are not reset, their rings are in the parent's file and must not be emptied.
    for controller in controllers:
        controller.core.leave_spools(True)
    after_fork_in_child()
    spools = sys.modules.get("logly.spool.spools")
    if spools is not None and hasattr(spools, "close_in_child"):  # the module may be half imported
        spools.close_in_child()
    for controller in controllers:
        try:
            controller.after_fork_in_child()
        except Exception as trouble:  # noqa: BLE001  # the other loggers must work nevertheless
            controller.report(trouble)
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        # Children of multiprocessing end by os._exit, without atexit. multiprocessing clears its finalizers before it
        # calls this hook.
        util.register_after_fork(_finish_all, lambda _: _finish_with_multiprocessing())


def _finish_with_multiprocessing() -> None:
    global _finalizer, _finalizer_pid
    util = sys.modules.get("multiprocessing.util")
    process = sys.modules.get("multiprocessing.process")
    if util is None or process is None or process.parent_process() is None:
        return
    if _finalizer is None or _finalizer_pid != os.getpid() or not _finalizer.still_active():
        _finalizer_pid = os.getpid()
        _finalizer = util.Finalize(None, _finish_all, exitpriority=0)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=before_fork, after_in_parent=after_fork_in_parent, after_in_child=_after_fork_in_child)
