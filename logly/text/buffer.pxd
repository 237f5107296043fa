"""A growable byte buffer in C memory: where the flusher composes text."""

from libc.stdint cimport uint32_t
from libc.stdlib cimport free, realloc

from logly.system.assertions cimport assert_that

cdef extern from *:
    """
    #ifndef LOGLY_COPY_TEXT
    #define LOGLY_COPY_TEXT
    #include <cstring>
    /* Copies N to 2 * N bytes in two moves, which may overlap. */
    template <size_t N> static inline void logly_copy_ends(char* out, const char* data, size_t size) {
        char first[N], last[N];
        memcpy(first, data, N);
        memcpy(last, data + size - N, N);
        memcpy(out, first, N);
        memcpy(out + size - N, last, N);
    }
    /* memcpy for texts that mostly have a few bytes: up to 32 are copied without a call. */
    static inline void logly_copy_text(char* out, const char* data, size_t size) {
        if (size > 32) {
            memcpy(out, data, size);
        } else if (size > 16) {
            logly_copy_ends<16>(out, data, size);
        } else if (size >= 8) {
            logly_copy_ends<8>(out, data, size);
        } else if (size >= 4) {
            logly_copy_ends<4>(out, data, size);
        } else if (size) {
            const char middle = data[size / 2], last = data[size - 1];
            out[0] = data[0];
            out[size / 2] = middle;
            out[size - 1] = last;
        }
    }
    #endif
    """
    void copy_text "logly_copy_text"(char* out, const char* data, size_t size) noexcept nogil


cdef struct Buffer:
    char* data
    size_t size        # bytes in use
    size_t capacity    # bytes allocated
    bint failed        # an allocation failed: the text is incomplete from there on


cdef inline void buffer_init(Buffer* buffer) noexcept nogil:
    buffer.data = NULL
    buffer.size = 0
    buffer.capacity = 0
    buffer.failed = False


cdef inline void buffer_free(Buffer* buffer) noexcept nogil:
    free(buffer.data)
    buffer_init(buffer)


# Frees the memory of a large buffer whose text is no longer needed: a huge message must not occupy memory for ever.
cdef inline void buffer_trim(Buffer* buffer, size_t limit) noexcept nogil:
    if buffer.capacity > limit:
        buffer_free(buffer)


cdef inline bint buffer_grow(Buffer* buffer, size_t extra) noexcept nogil:
    cdef size_t wanted = buffer.size + extra
    cdef size_t capacity = buffer.capacity * 2
    cdef char* data
    if capacity < wanted:
        capacity = wanted
    if capacity < 256:
        capacity = 256
    data = <char*> realloc(buffer.data, capacity)
    if data == NULL:
        buffer.failed = True
        return False
    buffer.data = data
    buffer.capacity = capacity
    return True


# Makes room for `extra` more bytes at data + size. Returns False, and sets `failed`, when there is no memory.
cdef inline bint buffer_reserve(Buffer* buffer, size_t extra) noexcept nogil:
    assert_that(buffer.size <= buffer.capacity)
    if buffer.capacity - buffer.size >= extra:
        return True
    return buffer_grow(buffer, extra)


cdef inline void buffer_append(Buffer* buffer, const void* data, size_t size) noexcept nogil:
    # With a size of 0 `data` may be NULL, and the data of an empty buffer is NULL: memcpy allows neither.
    if size and buffer_reserve(buffer, size):
        copy_text(buffer.data + buffer.size, <const char*> data, size)
        buffer.size += size


cdef inline void buffer_put(Buffer* buffer, char byte) noexcept nogil:
    if buffer_reserve(buffer, 1):
        buffer.data[buffer.size] = byte
        buffer.size += 1


# UTF-8 bytes. Their owner outlives the layout or record that refers to them.
cdef struct Text:
    const char* data
    uint32_t size


cdef inline void buffer_text(Buffer* out, const Text* text) noexcept nogil:
    buffer_append(out, text.data, text.size)
