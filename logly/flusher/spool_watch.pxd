"""Notices that a spool's file is gone while its process lives: removed, renamed, replaced, or its descriptor closed.

Records still go into the mapped memory then, and sinks write them as ever. But nobody finds them after a kill. So the thread that
makes passes looks once a second, and Python makes the spool anew (`control/spooling.py`).
"""

from logly.flusher.state cimport Engine, look_is_due
from logly.ring.ring cimport Ring
from logly.spool.format cimport Spool, spool_has_file
from logly.system.atomic cimport load_pointer, store_relaxed32
from logly.system.fd cimport path_is_file


# Called with the engine's lock, under which no other thread frees a ring. A spool that could not be made anew is told of again at
# the next look.
cdef inline void watch_spool(Engine* engine) noexcept nogil:
    cdef Ring* ring = load_pointer(&engine.intake.ring)
    cdef Spool* spool = <Spool*> ring.spool if ring != NULL else NULL
    if spool == NULL:
        return
    if look_is_due(engine, &spool.look_due_ns) and (
        not spool_has_file(spool) or not path_is_file(spool.path, spool.device, spool.inode)
    ):
        store_relaxed32(&spool.is_lost, 1)
        store_relaxed32(&engine.requests.python, 1)
