# Changes that Python and the core must both see, or neither: made in one step.

from libc.stdint cimport int64_t, uint32_t

from logly.ring.gate cimport POST_DRAIN, POST_START, POST_SYNC, POST_WAKE
from logly.system.atomic cimport store_relaxed32

# Of other included files:
#   control/core.pxi: Core
#   text/owned_text.pxi: decimal


def change_count(Core core not None):
    """How many changes `commit` has made."""
    return core.changes


def commit(Core core not None, int64_t seen, list may_fail, list undo, list steps):
    """Makes a change that has been prepared, in one step: nothing can cut it in half.

    A signal handler runs between two bytecodes, on the main thread, and whatever it raises goes up from there. In here no
    bytecode runs: every step is a call of a compiled function. (Nor is any text of an int made: CPython runs them there, too.)

    Args:
        core: whose changes these are.
        seen: `change_count` when it was prepared.
        may_fail: (function, arguments) of what may fail, for want of memory, say: the rest is left undone then.
        undo: the same, of what is to be done in that case.
        steps: the rest, which is done to the end.

    Returns:
        False: something else has changed since, and nothing was done.
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
    Core core not None, int threshold, bint site, bint thread, bint thread_name, bint start, bint sync, bint drain, bint wake,
):
    """What producers go by: the threshold, what records must carry, and what follows a commit."""
    # Nothing here needs memory: half of it would be worse than none.
    core.set_needs(site, thread, thread_name)
    store_relaxed32(&core.engine.intake.post, post_flags(start, sync, drain, wake))
    store_relaxed32(<uint32_t*> &core.engine.gate.threshold, <uint32_t> threshold)


def define_levels(Core core not None, list levels):
    """`set_level` of several: (name in capitals, number, colour). A name's new number holds in all its spellings."""
    cdef dict names = core.level_index
    for name, number, color in levels:
        known = names.get(name)
        if known is not None and known[0] != number:  # other spellings are looked up again
            for spelling, found in list(names.items()):
                if found == known and spelling != name:
                    del names[spelling]
        core.set_level(name, number, color)
        unnamed = "LEVEL " + decimal(number).decode("ascii")
        if number in names and names[number] == names.get(unnamed):
            names[number] = names[name]  # it was logged by its number before it had a name
