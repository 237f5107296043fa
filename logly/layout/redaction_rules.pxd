"""What a logger hides, and the memory that its copies of records lie in; and the parts that both kinds of copies are made of."""

from libc.stdint cimport uint32_t, uint64_t, uint8_t
from libc.string cimport memcpy

from logly.layout.name_patterns cimport NamePatterns, names_forget
from logly.ring.record cimport EXCEPTION_TEXTS, STACK_TEXTS, RecordHeader, RecordView, align_record, skip_values
from logly.ring.ring cimport RECORD_INLINE
from logly.text.buffer cimport Buffer, buffer_append, buffer_free, buffer_init, buffer_put, buffer_trim

cdef enum RedactionStatus:
    NOTHING_TO_HIDE = 0
    IS_REDACTED
    CANNOT_REDACT              # there is no memory


# What is hidden, from the settings of a logger.
cdef struct Redaction:
    NamePatterns names         # of fields; none: fields are left as they are
    NamePatterns keys          # in messages and tracebacks
    bint hides_text            # messages and tracebacks are looked through
    Buffer record              # the latest copy without the values of hidden fields
    Buffer text_record         # the latest one without secrets in its texts
    Buffer message             # without secrets
    Buffer scratch
    uint64_t steps             # for tests: see text/secret_shapes.pxd


cdef inline void redaction_free(Redaction* redaction) noexcept nogil:
    buffer_free(&redaction.record)
    buffer_free(&redaction.text_record)
    buffer_free(&redaction.scratch)
    buffer_free(&redaction.message)


cdef inline void redaction_trim(Redaction* redaction, size_t limit) noexcept nogil:
    buffer_trim(&redaction.record, limit)
    buffer_trim(&redaction.text_record, limit)
    buffer_trim(&redaction.scratch, limit)
    buffer_trim(&redaction.message, limit)


# In a forked child, where the parent's flusher may have been in the middle of its work. Its memory is leaked, once.
cdef inline void redaction_begin(Redaction* redaction) noexcept nogil:
    buffer_init(&redaction.record)
    buffer_init(&redaction.text_record)
    buffer_init(&redaction.scratch)
    buffer_init(&redaction.message)
    names_forget(&redaction.names)
    names_forget(&redaction.keys)


# ---- parts of a copy

cdef inline void append_text(Buffer* out, uint8_t tag, const char* data, size_t size) noexcept nogil:
    cdef uint32_t count = <uint32_t> size
    buffer_put(out, <char> tag)
    buffer_append(out, &count, 4)
    buffer_append(out, data, size)


# Puts the size of a text, which was written behind a place for it at `start`, in that place.
cdef inline void end_text(Buffer* out, size_t start) noexcept nogil:
    cdef uint32_t count = <uint32_t> (out.size - start - 5)
    if not out.failed:
        memcpy(out.data + start + 1, &count, 4)


# Returns the header of the record, or NULL when there was no memory for it.
cdef inline RecordHeader* end_record(Buffer* out) noexcept nogil:
    cdef RecordHeader* header
    buffer_append(out, b"\0\0\0\0\0\0\0", <size_t> (align_record(out.size) - out.size))
    if out.failed:
        return NULL
    header = <RecordHeader*> out.data
    header.size = <uint32_t> out.size
    header.kind = RECORD_INLINE
    return header


# Returns the end of the record. `at`: where its traceback or its stack would begin.
cdef inline const char* traces_end(const RecordView* view, const char* at) noexcept nogil:
    if view.stack != NULL:
        return skip_values(view.stack, STACK_TEXTS)
    if view.exception != NULL:
        return skip_values(view.exception, EXCEPTION_TEXTS)
    return at
