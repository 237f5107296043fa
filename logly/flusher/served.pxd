"""Records of `logging` that go to served handlers: which sinks get them is known at the call, and named by a number."""

from libc.stdint cimport uint32_t

from logly.system.atomic cimport load_relaxed32, store_relaxed32
from logly.text.buffer cimport Text

# What `RecordHeader.origin` stands for where IS_SERVED is set. `name` is first: a table of names holds these by their names.
cdef struct ServedName:
    Text name                  # of the logger of `logging`
    bint own                   # the record is also for the sinks that serve no handler
    uint32_t count
    const int* sink            # ids of the sinks that get it, whatever else they want
    uint32_t has_left          # one of these sinks has been removed, so no record goes to this name any more


cdef inline bint is_served_by(const ServedName* served, int sink) noexcept nogil:
    cdef uint32_t i
    for i in range(served.count):
        if served.sink[i] == sink:
            return True
    return False


cdef inline bint served_has_left(const ServedName* served) noexcept nogil:
    return load_relaxed32(&served.has_left) != 0


# Called when the sink gets no more records.
cdef inline void served_leave(ServedName* served, int sink) noexcept nogil:
    if is_served_by(served, sink):
        store_relaxed32(&served.has_left, 1)
