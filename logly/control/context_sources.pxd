"""The class of control/context_sources.pxi; included by logly/_core.pxd."""


cdef class ContextSources:
    """What the settings `context_from` and `trace_context` name. It is never changed: other settings make another one."""
    cdef object variable             # ContextVar, or None
    cdef object function             # or None
    cdef object span_variable        # ContextVar that holds the context of the tracing library, or None: it was not found
    cdef object read_span            # function(context or None) -> dict; None: records have no trace
