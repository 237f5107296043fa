"""Test-only extension: a window onto the header-only data path, so that Python tests can drive it."""

from logly._buffer cimport Buffer, buffer_append, buffer_free, buffer_init


def buffer_roundtrip(bytes data, int times):
    cdef Buffer buffer
    cdef int _
    buffer_init(&buffer)
    try:
        for _ in range(times):
            buffer_append(&buffer, <const char*> data, len(data))
        return buffer.data[: buffer.size]
    finally:
        buffer_free(&buffer)
