"""Notices that a spool's file is gone while its process lives: removed, renamed, replaced, or its descriptor closed.

Records still go into the mapped memory then, and sinks write them as ever. But nobody finds them after a kill. So the thread that
makes passes looks once a second, and Python makes the spool anew (`control/spooling.py`).
"""

from logly.flusher.state cimport Engine
from logly.ring.ring cimport Ring
from logly.spool.format cimport Spool, spool_has_file
from logly.system.atomic cimport load_pointer, store_relaxed32
from logly.system.fd cimport path_is_file

cdef enum:
    LOOK_NS = 1000000000


# Called with the engine's lock, under which no other thread frees a ring. A spool that could not be made anew is told of again at
# the next look.
cdef inline void watch_spool(Engine* engine) noexcept nogil:
    cdef Ring* ring = load_pointer(&engine.intake.ring)
    cdef Spool* spool = <Spool*> ring.spool if ring != NULL else NULL
    if spool == NULL:
        return
    if engine.pace.now_ns >= spool.look_due_ns:
        spool.look_due_ns = engine.pace.now_ns + LOOK_NS
        if not spool_has_file(spool) or not path_is_file(spool.path, spool.device, spool.inode):
            store_relaxed32(&spool.is_lost, 1)
            store_relaxed32(&engine.requests.python, 1)
    if spool.look_due_ns - engine.pace.now_ns < engine.pace.sleep_ns:
        engine.pace.sleep_ns = spool.look_due_ns - engine.pace.now_ns
