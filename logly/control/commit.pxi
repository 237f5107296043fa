# Makes changes in one step, so that Python and the core either both see a change or both do not.

from libc.stdint cimport int64_t, uint32_t

from logly.ring.gate cimport POST_DRAIN, POST_START, POST_SYNC, POST_WAKE
from logly.system.atomic cimport store_relaxed32

# Of other included files:
#   control/core.pxi: Core
#   control/level_rules.pxi: Thresholds
#   control/logger_names.pxi: use_thresholds


def change_count(Core core not None):
    """How many changes `commit` has made."""
    return core.changes


def commit(Core core not None, int64_t seen, list may_fail, list undo, list steps):
    """Makes a change that has been prepared, in one step that nothing can cut in half.

    A signal handler runs between two bytecodes of the main thread, and what it raises goes up from there. No bytecode runs in
    here, because every step is a call of a compiled function. (CPython also runs handlers while it makes the text of an int.
    No step does that either.)

    Args:
        core: whose changes these are.
        seen: `change_count` when it was prepared.
        may_fail: (function, arguments) of the steps that may fail, for want of memory for example. If one fails, `undo` is
            done and `steps` are not.
        undo: the same for that case.
        steps: the rest, which is done to the end even if a step raises.

    Returns:
        False when something else has changed since; then nothing was done.
    """
    cdef object error = None
    if core.changes != seen:
        return False
    core.changes += 1
    try:
        for function, arguments in may_fail:
            function(*arguments)
    except BaseException:
        for function, arguments in undo:
            function(*arguments)
        raise
    for function, arguments in steps:
        try:
            function(*arguments)
        except Exception as trouble:
            error = trouble
    if error is not None:
        raise error
    return True


cdef uint32_t post_flags(bint start, bint sync, bint drain, bint wake) noexcept:
    return (
        (POST_START if start else 0) | (POST_SYNC if sync else 0) | (POST_DRAIN if drain else 0) | (POST_WAKE if wake else 0)
    )


def publish(
    Core core not None, Thresholds thresholds not None, bint site, bint thread, bint thread_name, bint start, bint sync,
    bint drain, bint wake,
):
    """Sets what log calls go by: the thresholds, what records must carry, and what follows a commit."""
    # Nothing here needs memory, because a half of this change would be worse than none.
    core.set_needs(site, thread, thread_name)
    store_relaxed32(&core.engine.intake.post, post_flags(start, sync, drain, wake))
    use_thresholds(core, thresholds)


cdef class Guard:
    """A ``with`` whose beginning and end are Python code of a subclass: ``begin()``, which returns what ``as`` gets, and
    ``end()``.

    It is compiled, so that no signal handler runs between the end of `begin` and the ``with``. Where `begin` is
    interrupted, `end` is called as well, and where `end` is, it is called again.
    """

    def __enter__(self):
        try:
            begun = self.begin()
        except BaseException:
            self.end_surely()
            raise
        return begun

    def __exit__(self, kind, error, trace):
        self.end_surely()

    cdef bint end_surely(self) except -1:
        try:
            self.end()
        except BaseException:
            self.end()
            raise
        return True
