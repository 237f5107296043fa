# How changes of the objects of `logging` are seen in this process: see system/stamps.pxd and bridge/sight.py.

import os

from logly.ring.leases cimport FREE_THREADED
from logly.system.probe cimport IS_PROBE
from logly.system.stamps cimport COMPARES, HAS_VERSIONS, begin_telling, changes

cdef enum Sight:
    SIGHT_NONE = 0             # changes are not seen: every call goes the way of `logging`
    SIGHT_VERSIONS             # each dict has a version, which is compared
    SIGHT_WATCHERS             # CPython tells of each change of a dict; after a change, everything is compared
    SIGHT_COMPARED             # everything is compared at each call

cdef Sight sight = SIGHT_NONE
cdef bint is_hasty = True                 # a dict may be compared by its version, or by all its values at once
cdef str no_sight = "logly.install() was not called"
cdef dict names_that_matter = {}          # id of a module's dict, which is never freed -> the names that are looked up in it
cdef list SIGHT_NAMES = ["nothing", "versions", "watchers", "comparing"]


def use_sight(str name not None, *, str why_not="", bint hasty=True):
    """Sets how changes are seen. To be called before anything is stamped. Returns whether this Python can do it.

    Args:
        name: one of `SIGHT_NAMES`.
        why_not: the reason, if the name is "nothing".
        hasty: with "comparing": a dict may be compared by its version, where it has one, or by all its values at once.
    """
    global sight, is_hasty, no_sight
    cdef int number = SIGHT_NAMES.index(name)
    if number == SIGHT_VERSIONS and not HAS_VERSIONS:
        return False
    if number in (SIGHT_WATCHERS, SIGHT_COMPARED) and not COMPARES:
        return False
    if number == SIGHT_WATCHERS and not begin_telling():
        return False
    sight = <Sight> number
    is_hasty = hasty
    no_sight = why_not
    return True


def has_gil():
    """Whether this is a build for a Python with a GIL."""
    return not FREE_THREADED


def sight_in_use():
    """(name, hasty, why not)."""
    return (SIGHT_NAMES[<int> sight], bool(is_hasty), no_sight)


def sight_for_tests():
    """The sight that the environment names, in a build for tests."""
    return os.environ.get("LOGLY_SIGHT") if IS_PROBE else None


def changes_told():
    """How many changes CPython has told of."""
    return changes


def watch_names_of(dict attributes not None, tuple names not None):
    """Says that a call depends only on these names in this dict of a module."""
    names_that_matter[id(attributes)] = names
