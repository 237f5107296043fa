"""The class of control/work.pxi; included by logly/_core.pxd."""


cdef class PythonWork:
    cdef readonly int sink_id
    cdef readonly int error          # errno that is to be reported, or 0
    cdef readonly bint rotates       # its file
    cdef readonly bint reopens       # its file
    cdef readonly bint is_lost       # its file: other code has closed the descriptor
    cdef readonly bint writes        # to its stream; a batch sink: a thread for its function is wanted
    cdef readonly bint has_records   # for its function or filter
    cdef readonly bint gives_up      # records, of which nobody was told yet
