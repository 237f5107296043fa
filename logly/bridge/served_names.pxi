# What a record for served handlers names by a number: the logger of `logging`, and the sinks that get it.

from libc.stdint cimport INT32_MAX, uint16_t, uint32_t
from libc.stdlib cimport calloc, free

from logly.flusher.served cimport ServedName
from logly.layout.logger_names cimport LAST_NAME, names_put, names_reserve
from logly.ring.gate cimport Gate

# Of other included files:
#   caller/calls.pxi: Producer
#   control/core.pxi: Core
#   text/owned_text.pxi: copy_text, utf8


cdef ServedName* new_served_name(str name, tuple sinks, bint own) except NULL:
    cdef ServedName* served = <ServedName*> calloc(1, sizeof(ServedName))
    cdef int* ids = <int*> calloc(len(sinks) + 1, sizeof(int))
    cdef Py_ssize_t i
    if served == NULL or ids == NULL:
        free(served)
        free(ids)
        raise MemoryError
    for i in range(len(sinks)):
        ids[i] = sinks[i]
    served.own = own
    served.count = <uint32_t> len(sinks)
    served.sink = ids
    try:
        served.name = copy_text(utf8(name))
    except BaseException:
        free(ids)
        free(served)
        raise
    return served


def served_producer(Core core not None, str name not None, tuple sinks not None, *, bint own):
    """A producer whose records go to the sinks with these ids, under the name of a logger of `logging`.

    `own`: they also go to the sinks of the engine that serve no handler. Returns None when all numbers are used up. What a number
    stands for lives as long as the engine, because records with it may wait anywhere.
    """
    cdef Producer producer
    cdef ServedName* served
    cdef Gate* gate
    cdef uint32_t number
    key = (name, sinks, own)
    if core.served_producers is None:
        core.served_producers = {}
    found = core.served_producers.get(key)
    if found is not None:
        return found
    if core.last_served >= LAST_NAME:
        return None
    producer = Producer.__new__(Producer)
    producer._attach(core, None, None, None, None)
    gate = <Gate*> calloc(1, sizeof(Gate))
    if gate == NULL:
        raise MemoryError
    gate.threshold = -INT32_MAX
    gate.intake = core.intake
    served = new_served_name(name, sinks, own)
    core.served_producers[key] = producer
    number = <uint32_t> core.last_served + 1
    if not names_reserve(&core.served, <uint16_t> number):
        raise MemoryError
    gate.origin = <uint16_t> number
    names_put(&core.served, gate.origin, &served.name)
    core.engine.served = &core.served
    core.last_served = gate.origin
    producer.gate = gate
    return producer
