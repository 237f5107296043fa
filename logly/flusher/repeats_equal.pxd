"""Which records are equal for `SinkConfig.dedup`: those whose lines differ only in when and where they were logged.

Records are compared as bits, without what may differ: time stamps, thread, process. There is one record to compare with, so
a comparison ends at the first byte that differs; a hash would have to read all bytes of each record.

What the registry gives numbers to is in a record by its number, or inside where there is none yet, or no room. So what differs in
bits may still be the same: a call site is compared by a hash of what it stands for, the message and the traceback as text.
"""

from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp

from logly.flusher.repeats_told cimport MOST_BYTES
from logly.flusher.sink cimport Sink
from logly.flusher.state cimport Engine
from logly.layout.line cimport Line, hash_of_site, write_exception, write_message
from logly.layout.message cimport program_of, write_value
from logly.ring.record cimport (
    EXCEPTION_TEXTS, HAS_EXCEPTION, HAS_NAME, HAS_PROCESS, HAS_SITE, HAS_STACK, HAS_THREAD, HAS_THREAD_NAME, HAS_TIME,
    IS_ECHO, IS_INSIDE, STACK_TEXTS, RecordHeader, RecordView, Value, get_value, skip_values, view_traces,
)
from logly.text.buffer cimport Buffer, Text, buffer_append, buffer_free, buffer_init

cdef enum:
    COMPARED_BEFORE = sizeof(RecordHeader)
    # What may differ between equal records. A call site is compared whether it is in the record or has a number.
    DIFFERING = HAS_PROCESS | HAS_TIME | HAS_THREAD | HAS_THREAD_NAME | HAS_SITE | IS_INSIDE | IS_ECHO


# What is compared of a record, and kept of the run's, one part after the other: a header without what may differ, with a hash of
# the call site in place of the time, and the size of the name in place of its own; the logger's name where the record has it
# inside; and all from the message on.
cdef struct Compared:
    RecordHeader header
    Text name
    const char* rest
    size_t size


# ---- the parts of a record

cdef inline const char* message_end(const RecordView* view) noexcept nogil:
    return skip_values(view.body, view.header.args if view.header.template_id else 1)


cdef inline const char* fields_end(const RecordView* view) noexcept nogil:
    return skip_values(view.fields, 2 * <uint32_t> view.header.fields)


cdef inline const char* record_end(const RecordView* view) noexcept nogil:
    if view.stack != NULL:
        return skip_values(view.stack, STACK_TEXTS)
    if view.exception != NULL:
        return skip_values(view.exception, EXCEPTION_TEXTS)
    if view.fields != NULL:
        return fields_end(view)
    return message_end(view)


# 0: there is none, or no memory.
cdef inline uint64_t hash_of_site_inside(const RecordView* view) noexcept nogil:
    cdef Buffer texts
    cdef size_t module_size, function_end
    cdef uint64_t alike = 0
    buffer_init(&texts)
    write_value(&texts, &view.site_module)
    module_size = texts.size
    write_value(&texts, &view.site_function)
    function_end = texts.size
    write_value(&texts, &view.site_path)
    if not texts.failed:
        alike = hash_of_site(
            Text(texts.data, module_size),
            Text(texts.data + module_size, function_end - module_size),
            Text(texts.data + function_end, texts.size - function_end),
            view.site_line,
        )
    buffer_free(&texts)
    return alike


# A call may have more than one site: a specialized call of CPython 3.11 has another instruction than before.
cdef inline uint64_t site_alike(const Line* line) noexcept nogil:
    if line.site != NULL:
        return line.site.alike
    return hash_of_site_inside(&line.view) if line.view.header.flags & HAS_SITE else 0


cdef inline void compared_of(const Line* line, Compared* compared) noexcept nogil:
    cdef const RecordView* view = &line.view
    compared.rest = view.body
    compared.size = record_end(view) - compared.rest
    compared.name = view.name if view.header.flags & HAS_NAME else Text(b"", 0)
    compared.header = view.header[0]
    compared.header.kind = 0
    compared.header.flags &= ~<uint16_t> DIFFERING
    compared.header.size = compared.name.size
    compared.header.site = 0
    compared.header.ticks = site_alike(line)


# Keeps the record to compare with, or nothing where it is too large or there is no memory.
cdef inline void keep(Buffer* kept, const Compared* compared) noexcept nogil:
    kept.size = 0
    if compared.name.size + compared.size > MOST_BYTES:
        return
    buffer_append(kept, &compared.header, COMPARED_BEFORE)
    buffer_append(kept, compared.name.data, compared.name.size)
    buffer_append(kept, compared.rest, compared.size)
    if kept.failed:
        kept.size = 0
        kept.failed = False


# ---- equal bits

cdef inline bint is_equal(const Buffer* kept, const Compared* compared) noexcept nogil:
    return (
        kept.size == COMPARED_BEFORE + compared.name.size + compared.size
        and memcmp(kept.data, &compared.header, COMPARED_BEFORE) == 0
        and memcmp(kept.data + COMPARED_BEFORE, compared.name.data, compared.name.size) == 0
        and memcmp(kept.data + COMPARED_BEFORE + compared.name.size, compared.rest, compared.size) == 0
    )


# ---- equal texts

# True when all of the header and the name is equal, but for how the record has its message.
cdef inline bint is_equal_before(const Buffer* kept, const Compared* compared) noexcept nogil:
    cdef const RecordHeader* header = <const RecordHeader*> kept.data
    cdef RecordHeader expected
    if kept.size < COMPARED_BEFORE + compared.name.size:
        return False
    expected = compared.header
    expected.template_id = header.template_id
    expected.args = header.args
    return (
        memcmp(header, &expected, COMPARED_BEFORE) == 0
        and memcmp(kept.data + COMPARED_BEFORE, compared.name.data, compared.name.size) == 0
    )


# Makes `out` the line of the record that was kept, of which `line` differs by less than a header.
cdef inline void kept_line(const Engine* engine, const Buffer* kept, const Line* line, Line* out) noexcept nogil:
    cdef RecordView* view = &out.view
    out[0] = line[0]
    out.message = NULL
    view.header = <const RecordHeader*> kept.data
    view.body = kept.data + COMPARED_BEFORE + view.header.size
    view.index = NULL
    view.fields = view.exception = view.stack = NULL
    if view.header.fields or view.header.flags & (HAS_EXCEPTION | HAS_STACK):
        view.fields = message_end(view)
        view_traces(view, fields_end(view))
    out.program = program_of(engine.programs, view.header.template_id) if view.header.template_id else NULL


cdef inline bint is_same_part(const char* a, const char* a_end, const char* b, const char* b_end) noexcept nogil:
    return a_end - a == b_end - b and memcmp(a, b, <size_t> (a_end - a)) == 0


# Returns whether both are the same text, and gives back their memory.
cdef inline bint take_equal(Buffer* a, Buffer* b) noexcept nogil:
    cdef bint equal = not a.failed and not b.failed and a.size == b.size and memcmp(a.data, b.data, a.size) == 0
    buffer_free(a)
    buffer_free(b)
    return equal


cdef inline bint is_same_message(const Sink* sink, const Line* kept, const Line* line) noexcept nogil:
    cdef Buffer before, now
    cdef Value text
    if kept.view.header.template_id == line.view.header.template_id:
        return is_same_part(kept.view.body, message_end(&kept.view), line.view.body, message_end(&line.view))
    buffer_init(&before)
    buffer_init(&now)
    if sink.repeats.base.size:
        get_value(sink.repeats.base.data + sink.repeats.message_at, &text)
        write_value(&before, &text)
    elif kept.program != NULL or kept.view.header.template_id == 0:
        write_message(&before, kept)
    else:
        before.failed = True  # the registry has given up its template
    write_message(&now, line)
    return take_equal(&before, &now)


# The entries of a traceback are places, by number or as text.
cdef inline bint is_same_exception(const Line* kept, const Line* line) noexcept nogil:
    cdef const char* before = skip_values(kept.view.exception, 2)
    cdef const char* now = skip_values(line.view.exception, 2)
    cdef Buffer text_before, text_now
    if not is_same_part(kept.view.exception, before, line.view.exception, now):
        return False
    if is_same_part(before, skip_values(before, EXCEPTION_TEXTS - 2), now, skip_values(now, EXCEPTION_TEXTS - 2)):
        return True
    buffer_init(&text_before)
    buffer_init(&text_now)
    write_exception(&text_before, kept, False)
    write_exception(&text_now, line, False)
    return take_equal(&text_before, &text_now)


cdef inline bint is_same_stack(const Line* kept, const Line* line) noexcept nogil:
    return is_same_part(
        kept.view.stack,
        skip_values(kept.view.stack, STACK_TEXTS),
        line.view.stack,
        skip_values(line.view.stack, STACK_TEXTS),
    )


# True when the run's record and this one, whose bits differ, have the same texts.
cdef inline bint is_equal_otherwise(
    const Engine* engine, const Sink* sink, const Compared* compared, const Line* line
) noexcept nogil:
    cdef const Buffer* kept = &sink.repeats.kept
    cdef Line before
    if not is_equal_before(kept, compared):
        return False
    kept_line(engine, kept, line, &before)
    if before.view.header.fields and not is_same_part(
        before.view.fields, fields_end(&before.view), line.view.fields, fields_end(&line.view)
    ):
        return False
    if before.view.exception != NULL and not is_same_exception(&before, line):
        return False
    if before.view.stack != NULL and not is_same_stack(&before, line):
        return False
    return is_same_message(sink, &before, line)
