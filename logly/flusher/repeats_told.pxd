"""The line of a sink that tells how often a record was repeated: composed as a record, so that every layout can render it.

When the first record of a run has been delivered, the registry may give the numbers in it to other names. So at the first repeat
a record is composed that has the names inside (`Repeats.base`). When it is told how many repeats there were, the number and the
times are added to it: fields in JSON and logfmt and for functions, else in front of the message.
"""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memcpy

from logly.flusher.marks cimport marks_push
from logly.flusher.own_line cimport append_own_line
from logly.flusher.sink cimport WORK_RECORDS, Sink
from logly.flusher.state cimport Engine
from logly.layout.json cimport write_json_time
from logly.layout.json_pieces cimport JSON_TIME
from logly.layout.line cimport LAYOUT_TEXT, PIECE_TIME, Layout, Line, write_message
from logly.layout.message cimport write_value
from logly.ring.record cimport (
    HAS_NAME, HAS_NO_SITE, HAS_PROCESS, HAS_SITE, HAS_THREAD, HAS_THREAD_NAME, HAS_TIME, MAY_REPEAT, NAME_INSIDE,
    OWN_NAME, TAG_INT, TAG_NUMBER, TAG_UTF8, RecordEnd, RecordHeader, RecordView, Value, align_record, get_value, put_record_end,
    record_view, skip_values,
)
from logly.ring.ring cimport RECORD_INLINE
from logly.text.buffer cimport Buffer, buffer_append, buffer_put, buffer_trim
from logly.text.number cimport write_uint
from logly.text.time_pattern cimport TimePattern, time_pattern_render
from logly.text.zones cimport ZONE_UTC

cdef enum:
    MOST_BYTES = 65536         # larger records, and records with a larger message, are never repeats
    KEPT_FLAGS = HAS_PROCESS | HAS_THREAD | HAS_THREAD_NAME | HAS_SITE | HAS_NO_SITE


# Where the call site is in the record, or would be.
cdef inline const char* site_begin(const RecordView* view) noexcept nogil:
    cdef const char* at = <const char*> view.header + sizeof(RecordHeader)
    cdef uint16_t flags = view.header.flags
    cdef Value thread_name
    if flags & HAS_PROCESS:
        at += 8
    if flags & HAS_TIME:
        at += 8
    if flags & HAS_NAME:
        at += 4 + <uint64_t> view.name.size
    if flags & HAS_THREAD:
        at += 8
    if flags & HAS_THREAD_NAME:
        at = get_value(at, &thread_name)
    return at


# ---- a record without names in other places

cdef inline void append_counted(Buffer* out, uint8_t tag, const char* data, uint32_t size) noexcept nogil:
    buffer_put(out, <char> tag)
    buffer_append(out, &size, 4)
    buffer_append(out, data, size)


cdef inline void append_int(Buffer* out, int64_t number) noexcept nogil:
    buffer_put(out, <char> TAG_INT)
    buffer_append(out, &number, 8)


# Puts the size of a text, which was written behind a place for it at `at`, in that place.
cdef inline void end_counted(Buffer* out, size_t at) noexcept nogil:
    cdef uint32_t size = <uint32_t> (out.size - at - 5)
    if not out.failed:
        memcpy(out.data + at + 1, &size, 4)


cdef inline void append_site(Buffer* out, const Line* line) noexcept nogil:
    if line.site == NULL:
        buffer_append(out, site_begin(&line.view), line.view.body - site_begin(&line.view))
        return
    append_counted(out, TAG_UTF8, line.site.module.data, line.site.module.size)
    append_counted(out, TAG_UTF8, line.site.function.data, line.site.function.size)
    append_counted(out, TAG_UTF8, line.site.path.data, line.site.path.size)
    append_int(out, line.site.line)


cdef inline void append_message(Buffer* out, const Line* line) noexcept nogil:
    cdef size_t at = out.size
    cdef const char* body = line.view.body
    if line.program == NULL:
        buffer_append(out, body, skip_values(body, 1) - body)
        return
    append_counted(out, TAG_UTF8, b"", 0)
    write_message(out, line)
    end_counted(out, at)


cdef inline void append_thread(Buffer* out, const RecordView* view) noexcept nogil:
    cdef const char* at
    if view.header.flags & HAS_THREAD:
        buffer_append(out, &view.thread, 8)
    if view.header.flags & HAS_THREAD_NAME:
        at = view.thread_name.data - 5  # its tag and its size
        buffer_append(out, at, skip_values(at, 1) - at)


# The header of the record that is composed. The parts of the record follow in the order of ring/record.pxd.
cdef inline void append_header(Buffer* out, const Line* line, uint16_t flags) noexcept nogil:
    cdef RecordHeader header = line.view.header[0]
    header.kind = RECORD_INLINE
    header.flags = header.flags & KEPT_FLAGS | flags
    header.template_id = header.site = 0
    put_record_end(
        &header, 0, header.fields, header.level_number, NAME_INSIDE if flags & HAS_NAME else <uint16_t> OWN_NAME
    )
    buffer_append(out, &header, sizeof(RecordHeader))
    if header.flags & HAS_PROCESS:
        buffer_append(out, &line.view.process, 8)
    buffer_append(out, &line.time_ns, 8)
    if flags & HAS_NAME:
        buffer_append(out, &line.name.size, 4)
        buffer_append(out, line.name.data, line.name.size)
    append_thread(out, &line.view)


# Composes the record from the first repeat, while the names are there. It has the fields of the repeat, but neither its exception
# nor its stack, which the run's first line shows. Returns False when there is no memory, or the message is too large.
cdef inline bint compose_base(Sink* sink, const Line* line) noexcept nogil:
    cdef Buffer* base = &sink.repeats.base
    cdef const RecordView* view = &line.view
    cdef uint16_t flags = HAS_TIME | MAY_REPEAT
    cdef bint composed
    if view.header.origin != OWN_NAME:
        flags |= HAS_NAME
    if line.site != NULL:
        flags |= HAS_SITE
    append_header(base, line, flags)
    append_site(base, line)
    sink.repeats.message_at = <uint32_t> base.size
    append_message(base, line)
    sink.repeats.fields_at = <uint32_t> base.size
    if view.header.fields:
        buffer_append(base, view.fields, skip_values(view.fields, 2 * <uint32_t> view.header.fields) - view.fields)
    composed = not base.failed and base.size <= 2 * MOST_BYTES
    if not composed:
        base.size = 0
        base.failed = False
        buffer_trim(base, 4 * MOST_BYTES)
    return composed


# ---- the record that tells

cdef inline void append_time(Buffer* out, const Layout* layout, int64_t time_ns) noexcept nogil:
    cdef TimePattern* pattern = layout.stamp
    cdef int zone = ZONE_UTC
    cdef uint32_t i
    if layout.kind == LAYOUT_TEXT:
        for i in range(layout.pieces):
            if layout.piece[i].code == PIECE_TIME:
                pattern = layout.piece[i].time
                zone = layout.zone
                break
    time_pattern_render(pattern, out, time_ns, zone)


# In a text layout the message says it, because there all else may be missing.
cdef inline void append_told_message(Buffer* out, const Sink* sink) noexcept nogil:
    cdef size_t at = out.size
    cdef Value message
    append_counted(out, TAG_UTF8, b"repeated ", 9)
    write_uint(out, sink.repeats.count)
    if sink.repeats.count == 1:
        buffer_append(out, b" time at ", 9)
    else:
        buffer_append(out, b" times from ", 12)
        append_time(out, sink.layout, sink.repeats.first_ns)
        buffer_append(out, b" to ", 4)
    append_time(out, sink.layout, sink.repeats.last_ns)
    buffer_append(out, b": ", 2)
    get_value(sink.repeats.base.data + sink.repeats.message_at, &message)
    write_value(out, &message)
    end_counted(out, at)


cdef inline void append_time_field(
    Buffer* out, const Layout* layout, const char* key, uint32_t size, int64_t time_ns
) noexcept nogil:
    cdef size_t at
    append_counted(out, TAG_UTF8, key, size)
    at = out.size
    if layout.json != NULL and layout.json.time != JSON_TIME:
        append_counted(out, TAG_NUMBER, b"", 0)
        write_json_time(out, layout, layout.json.time, time_ns)
    else:
        append_counted(out, TAG_UTF8, b"", 0)
        append_time(out, layout, time_ns)
    end_counted(out, at)


# Fields of the same name come before these, so they do not count: MAY_REPEAT.
cdef inline void append_told_fields(Buffer* out, const Sink* sink) noexcept nogil:
    append_counted(out, TAG_UTF8, b"repeated", 8)
    append_int(out, <int64_t> sink.repeats.count)
    append_time_field(out, sink.layout, b"repeated_first", 14, sink.repeats.first_ns)
    append_time_field(out, sink.layout, b"repeated_last", 13, sink.repeats.last_ns)


cdef inline void compose_told(Buffer* out, const Sink* sink) noexcept nogil:
    cdef const Buffer* base = &sink.repeats.base
    cdef RecordHeader* header
    cdef RecordEnd end
    if sink.layout.kind == LAYOUT_TEXT:
        buffer_append(out, base.data, sink.repeats.message_at)
        append_told_message(out, sink)
        buffer_append(out, base.data + sink.repeats.fields_at, base.size - sink.repeats.fields_at)
    else:
        buffer_append(out, base.data, base.size)
        append_told_fields(out, sink)
    buffer_append(out, b"\0\0\0\0\0\0\0", <size_t> (align_record(out.size) - out.size))
    if out.failed:
        return
    header = <RecordHeader*> out.data
    header.size = <uint32_t> out.size
    if sink.layout.kind != LAYOUT_TEXT:
        end = RecordEnd(0, header.fields + 3, header.level_number, header.origin)
        memcpy(&header.args, &end, sizeof(RecordEnd))
    memcpy(
        out.data + sizeof(RecordHeader) + (8 if header.flags & HAS_PROCESS else 0), &sink.repeats.last_ns, 8
    )


cdef inline void told_line(Engine* engine, const char* record, Line* line) noexcept nogil:
    record_view(record, &line.view)
    line.logged_ns = line.time_ns = line.view.time_ns
    line.level = &engine.levels.level[line.view.header.level]
    line.site = NULL
    line.site_serial = 0
    line.program = NULL
    line.places = engine.places
    line.name = &engine.name
    line.is_named = engine.is_named
    if line.view.header.flags & HAS_NAME:
        line.name = &line.view.name
        line.is_named = True
    line.process = line.view.process if line.view.process else engine.intake.process
    line.message = NULL
    engine.workspace.index.of = NULL
    line.view.index = &engine.workspace.index


# ---- where it goes

cdef inline bint append_told_line(Engine* engine, Sink* sink, const char* record, uint64_t number) noexcept nogil:
    cdef Line line
    cdef bint is_told
    told_line(engine, record, &line)
    is_told = append_own_line(engine, sink, &line, sink.repeats.count, number)
    # The index was of a record whose memory is about to be freed.
    engine.workspace.index.of = NULL
    return is_told


cdef inline bint stage_told(Sink* sink, const Buffer* record, uint64_t number) noexcept nogil:
    cdef size_t start = sink.staging.records.size
    buffer_append(&sink.staging.records, record.data, record.size)
    if sink.staging.records.failed or not marks_push(&sink.staging.marks, number, 0):
        sink.staging.records.size = start
        sink.staging.records.failed = False
        return False
    sink.staging.marks.notices += 1
    sink.python.work |= WORK_RECORDS
    return True
