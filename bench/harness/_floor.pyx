# cython: language_level=3, binding=False, freethreading_compatible=True
"""The floor: what CPython asks for a call of a compiled method, whatever that does."""


cdef class Floor:
    """Empty methods with the signature and the flags of `Logger.info`."""

    def info(self, message, *args, **fields):
        """As Cython compiles this signature: a tuple, and a dict where there are keywords."""

    def one(self, message):
        """One argument: the cheapest call there is."""
