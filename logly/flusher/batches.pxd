"""What the flusher and the thread of a batch sink share about its batches. See flusher/batch.pxd."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from logly.system.event cimport Event, event_init

cdef enum:
    HUNG_NS = 60000000000      # nobody waits longer for a call, or for the beginning of one


# A batch is *taken* from the lines that wait: its bytes leave `Pending.text` (`Pending.taken` counts them), and its marks stay
# the first ones of `Pending.marks` until the function has returned. One batch is taken at a time.
cdef struct Batches:
    Event* wake                # the sink's thread sleeps here; belongs to the handle. NULL: this is another kind of sink
    uint64_t thread            # of the system; 0: there is none, and Python is to start one
    int64_t start_at_ns        # none could be started, and Python does not try before this (monotonic)
    bint is_wanted             # lines are due, or there is a full batch of them
    uint32_t marks             # the first so many marks are those of the taken batch
    uint64_t begin             # where the lines of the taken batch began, counted as `Pending.appended`
    uint64_t serial            # tells batches apart: one that was given up is not settled later
    bint is_in_call            # the function is at work on it
    int64_t begun_ns           # when that call began
    int64_t ended_ns           # when the call before ended
    int64_t hung_ns            # nobody waits longer for a call, or for the beginning of one
    int64_t failed_ns          # when the call before failed
    int64_t retry_at_ns        # when the next one is to begin; 0: at once
    int64_t held_until_ns      # the function itself has asked for this pause, so nobody shortens it
    uint64_t tried_for         # the latest attempt began after this request for a flush
    bint is_hurried            # the thread knows that somebody waits


# In a forked child, too: it has no batch and no thread of its parent's.
cdef inline void batches_begin(Batches* batches) noexcept nogil:
    cdef Event* wake = batches.wake
    cdef int64_t hung_ns = batches.hung_ns
    memset(batches, 0, sizeof(Batches))
    batches.wake = wake
    batches.hung_ns = hung_ns if hung_ns else HUNG_NS
    if wake != NULL:
        event_init(wake)
