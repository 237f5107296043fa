# The settings that say where log calls read fields from, beside those of contextualize().

from cpython.ref cimport Py_INCREF
from libc.stdint cimport uint32_t

from logly.ring.gate cimport NEED_CONTEXT, NEED_SOURCE, NEED_TIME
from logly.ring.leases cimport FREE_THREADED
from logly.system.atomic cimport store_release32
from logly.system.cpython cimport is_context_variable

# Of other included files:
#   control/core.pxi: Core


cdef class ContextSources:
    """Where log calls read fields from.

    Args:
        source: a ContextVar or a function, or None.
        span_variable: the ContextVar of the tracing library, or None: `read_span` is called for each record.
        read_span: function(context of the tracing library, or None for the present one) -> fields; None: no trace is asked for.
    """

    def __init__(self, source, span_variable, read_span):
        if source is not None and is_context_variable(<PyObject*> source):
            self.variable = source
        else:
            self.function = source
        self.span_variable = span_variable
        self.read_span = read_span


def use_sources(Core core not None, ContextSources sources):
    """From now on log calls read from these. It needs no memory, because it is a step of a change."""
    cdef uint32_t needs = 0
    if FREE_THREADED and core.sources is not None:
        # Another thread may read them just now. They are small, and settings change rarely.
        Py_INCREF(core.sources)
    core.sources = sources
    if sources is not None:
        needs = NEED_CONTEXT
        if sources.variable is not None or sources.function is not None:
            needs |= NEED_SOURCE
    core.lock()
    if core.context is not None:
        needs |= NEED_CONTEXT
    needs |= core.engine.intake.needs & ~<uint32_t> (NEED_CONTEXT | NEED_SOURCE)
    # Release: a thread that sees the need also sees the sources.
    store_release32(&core.engine.intake.needs, needs)
    core.unlock()


def use_time_source(Core core not None, function):
    """From now on records have the time that this function gives. None: that of the call. As `use_sources`."""
    if FREE_THREADED and core.time_source is not None:
        Py_INCREF(core.time_source)
    core.time_source = function
    core.lock()
    store_release32(
        &core.engine.intake.needs,
        (core.engine.intake.needs & ~<uint32_t> NEED_TIME) | (NEED_TIME if function is not None else 0),
    )
    core.unlock()
