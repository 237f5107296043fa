# Records as Python objects, made on the flusher's thread for function sinks and Python filters.

import sys

from libc.stdint cimport uint32_t, uint64_t, uint8_t
from libc.string cimport memcmp, memcpy, memset

from logly.flusher.deliver cimport deliver_line, engine_line
from logly.flusher.marks cimport NOTICE_BIT
from logly.flusher.repeats cimport repeats_take
from logly.flusher.sink cimport BUSY_RECORDS, NOT_BUSY, TARGET_FUNCTION, WORK_RECORDS, Sink, staged_leaves
from logly.flusher.state cimport Engine, engine_fail
from logly.flusher.undecided cimport undecided_settle
from logly.layout.field_names cimport index_free
from logly.layout.line cimport Line, write_message
from logly.layout.trace cimport Place, write_steps
from logly.ring.record cimport (
    BY_MODULE, IS_KEPT, IS_SERVED, TAG_BYTES, TAG_FALSE, TAG_FLOAT, TAG_INT, TAG_JSON, TAG_LATIN1, TAG_NONE, TAG_NUMBER,
    TAG_TRUE, TAG_UCS2, TAG_UINT, TAG_UTF8, FieldIndex, RecordHeader, RecordView, Value, get_value, unit_size,
)
from logly.system.clock cimport clock_monotonic_ns
from logly.text.buffer cimport Buffer, Text, buffer_free, buffer_init, buffer_trim

# Of other included files:
#   control/core.pxi: Core
#   control/sink_handle.pxi: SinkHandle


cdef object value_object(const Value* value):
    cdef uint8_t tag = value.tag
    if tag == TAG_INT:
        return value.integer
    if tag == TAG_UINT:
        return <uint64_t> value.integer
    if tag == TAG_FLOAT:
        return value.real
    if tag == TAG_NONE:
        return None
    if tag == TAG_TRUE or tag == TAG_FALSE:
        return tag == TAG_TRUE
    data = value.data[: <uint64_t> value.count * unit_size(tag)]
    if tag == TAG_BYTES:
        return data
    if tag == TAG_NUMBER or tag == TAG_JSON:
        return parsed_object(tag, data)
    return text_object(tag, data)


cdef object parsed_object(uint8_t tag, bytes data):
    # A value that cannot be parsed (sys.set_int_max_str_digits has changed, or a spool was damaged) is returned as text. A record
    # that raised here would be tried again for ever.
    try:
        if tag == TAG_NUMBER:
            return int(data)
        import json
        return json.loads(data)
    except (ValueError, RecursionError, ImportError):  # ImportError: nothing can be imported when the interpreter ends
        pass
    return data.decode("utf-8", "replace")


cdef str text_object(uint8_t tag, bytes data):
    # The code units are as CPython stores them, so that lone surrogates are possible.
    if tag == TAG_UTF8:
        return data.decode("utf-8", "replace")
    if tag == TAG_LATIN1:
        return data.decode("latin-1")
    order = "le" if sys.byteorder == "little" else "be"
    return data.decode(f"utf-{16 if tag == TAG_UCS2 else 32}-{order}", "surrogatepass")


cdef str text_str(const Text* text):
    return text.data[: text.size].decode("utf-8", "replace")


cdef dict field_objects(const RecordView* view):
    cdef dict fields = {}
    cdef const char* at = view.fields
    cdef Value key, value
    cdef uint32_t i
    for i in range(view.header.fields):
        at = get_value(at, &key)
        at = get_value(at, &value)
        fields[value_object(&key)] = value_object(&value)
    return fields


cdef object exception_object(const Line* line):
    cdef Value kind, message, stack
    cdef const char* at
    if line.view.exception == NULL:
        return None
    at = get_value(line.view.exception, &kind)
    at = get_value(at, &message)
    get_value(at, &stack)
    text = steps_object(&stack, line.places) if stack.tag == TAG_BYTES else value_object(&stack)
    return (value_object(&kind), value_object(&message), text)


cdef str steps_object(const Value* steps, Place** places):
    cdef Buffer text
    buffer_init(&text)
    write_steps(&text, steps.data, steps.count, places, False)
    try:
        if text.failed:
            raise MemoryError
        return text.data[: text.size].decode("utf-8", "replace") if text.size else ""
    finally:
        buffer_free(&text)


cdef object stack_object(const RecordView* view):
    cdef Value stack
    if view.stack == NULL:
        return None
    get_value(view.stack, &stack)
    return value_object(&stack)


cdef class Recent:
    """What the record before had. Records that come together mostly have it in common, so it is made once."""

    cdef const void* site_address    # it stays, because the records are not done yet
    cdef tuple site
    cdef bytes level_data
    cdef bytes name_data
    cdef bytes thread_data
    cdef uint8_t thread_tag
    cdef str level
    cdef str name
    cdef object thread_name

    cdef str level_of(self, const char* data, uint32_t size):
        if not is_bytes_of(self.level_data, data, size):
            self.level_data = None
            self.level = data[:size].decode("utf-8", "replace")
            self.level_data = data[:size]
        return self.level

    cdef str name_of(self, const Text* name):
        if not is_bytes_of(self.name_data, name.data, name.size):
            self.name_data = None
            self.name = text_str(name)
            self.name_data = name.data[: name.size]
        return self.name

    cdef object thread_of(self, const Value* value):
        cdef uint64_t size
        if value.tag != TAG_UTF8 and value.tag != TAG_LATIN1:
            return value_object(value)
        size = <uint64_t> value.count * unit_size(value.tag)
        if value.tag != self.thread_tag or not is_bytes_of(self.thread_data, value.data, size):
            self.thread_data = None
            self.thread_name = value_object(value)
            self.thread_tag = value.tag
            self.thread_data = value.data[:size]
        return self.thread_name

    cdef tuple site_of(self, const Line* line):
        """(module, function, path, line number)"""
        if line.site != NULL:
            if self.site is None or line.site != self.site_address:
                self.site = None
                self.site_address = line.site
                self.site = (
                    text_str(&line.site.module), text_str(&line.site.function), text_str(&line.site.path), line.site.line,
                )
            return self.site
        if line.view.site_path.data != NULL:
            return (
                value_object(&line.view.site_module), value_object(&line.view.site_function),
                value_object(&line.view.site_path), line.view.site_line,
            )
        return ("?", "?", "?", 0)


cdef bint is_bytes_of(bytes kept, const char* data, uint64_t size) noexcept:
    return kept is not None and <uint64_t> len(kept) == size and memcmp(<const char*> kept, data, size) == 0


cdef object record_object(Core core, const char* record, object kind, Recent recent):
    """The record as an object of `kind`, which is `logly.record.Record`."""
    cdef Line line
    cdef Buffer message
    cdef FieldIndex index
    cdef char level[64]
    cdef uint32_t level_size
    # Under the lock, because another thread may make a pass (which changes the clock's calibration) or rename the level.
    core.lock()
    engine_line(core.engine, record, &line)
    level_size = min(line.level.name.size, <uint32_t> sizeof(level))
    memcpy(level, line.level.name.data, level_size)
    core.unlock()
    # The engine's own index may be used only under its lock.
    memset(&index, 0, sizeof(FieldIndex))
    line.view.index = &index
    buffer_init(&message)
    write_message(&message, &line)
    index_free(&index)
    try:
        if message.failed:
            raise MemoryError
        text = message.data[: message.size].decode("utf-8", "replace") if message.size else ""
    finally:
        buffer_free(&message)
    return kind(
        line.time_ns, recent.level_of(level, level_size), line.view.header.level_number, text, recent.name_of(line.name),
        recent.site_of(&line), line.view.thread, recent.thread_of(&line.view.thread_name), line.process,
        field_objects(&line.view), exception_object(&line), stack_object(&line.view),
        line.view.header.flags & IS_KEPT != 0,
    )


def came_by_logging(bytes record not None):
    """Whether `logging` has made this record, which `take_records` has returned."""
    return (<const RecordHeader*> <const char*> record).flags & (BY_MODULE | IS_SERVED) != 0


cdef bytes staged_records(SinkHandle handle):
    """The records that the sink has staged. They are in hand until `records_end`."""
    cdef Core core = handle.core
    cdef Sink* sink = core.lock_sink(handle.id)
    try:
        staged = sink.staging.records.data[sink.staging.start : sink.staging.records.size] if sink.staging.records.size else b""
        sink.python.work &= ~<uint32_t> WORK_RECORDS
        sink.python.busy = BUSY_RECORDS
    finally:
        core.unlock()
    return staged


def take_records(SinkHandle handle not None, kind):
    """The records that the sink has staged, as [(`kind` object, bytes)]. Each is pending until `record_done`."""
    cdef bytes staged = staged_records(handle)
    cdef Recent recent = Recent()
    cdef const char* at = staged
    cdef size_t offset = 0
    cdef uint32_t size
    records = []
    while offset < <size_t> len(staged):
        size = (<const RecordHeader*> (at + offset)).size
        records.append((record_object(handle.core, at + offset, kind, recent), staged[offset : offset + size]))
        offset += size
    return records


def capture_records(SinkHandle handle not None, kind, wants, keep not None):
    """Gives the records that the sink has staged to `keep`, and is done with them.

    Args:
        kind: as in `take_records`.
        wants: function(bytes) -> bool, which chooses; None: all.
        keep: a compiled function, called once with (ticks, `kind` objects), two lists. The ticks are by a clock that all
            loggers of the process share. No code in Python runs between this call and the end, so no record comes twice.
    """
    cdef bytes staged = staged_records(handle)
    cdef Recent recent = Recent()
    cdef const char* at = staged
    cdef size_t offset = 0
    cdef const RecordHeader* header
    cdef list ticks = []
    cdef list records = []
    cdef bytearray wanted = bytearray()
    while offset < <size_t> len(staged):
        header = <const RecordHeader*> (at + offset)
        is_wanted = wants is None or bool(wants(staged[offset : offset + header.size]))
        wanted.append(is_wanted)
        if is_wanted:
            ticks.append(header.ticks)
            records.append(record_object(handle.core, at + offset, kind, recent))
        offset += header.size
    keep((ticks, records))
    records_done(handle, staged, wanted)


cdef bint records_done(SinkHandle handle, bytes staged, bytearray wanted) except -1:
    cdef Core core = handle.core
    cdef Sink* sink = core.lock_sink(handle.id)
    cdef const char* at = staged
    cdef const char* is_wanted = wanted
    cdef Py_ssize_t i
    core.engine.pace.now_ns = clock_monotonic_ns()
    for i in range(len(wanted)):
        settle_oldest(core.engine, sink, at, at if is_wanted[i] else NULL, False)
        at += (<const RecordHeader*> at).size
    core.unlock()
    return True


# A filter has decided. `filters`: so many decide whether anybody wants the record (see `begin_decision`). Returns True for a no.
cdef bint note_decision(Engine* engine, uint64_t sequence, uint64_t filters, bint wanted) noexcept nogil:
    if filters == 1:
        engine.books.refused += not wanted
    elif filters and undecided_settle(&engine.books.undecided, sequence, wanted):
        engine.books.refused += 1
    return not wanted


def record_done(SinkHandle handle not None, bytes record, bytes shown, bint failed):
    """Called when the oldest staged record has been handled.

    `shown`: what is to be written, which is `record` unless the sink changes records; None: the filter did not let it pass.
    """
    cdef Core core = handle.core
    cdef Sink* sink = core.lock_sink(handle.id)
    core.engine.pace.now_ns = clock_monotonic_ns()
    if shown is None:
        settle_oldest(core.engine, sink, record, NULL, failed)
    else:
        settle_oldest(core.engine, sink, record, shown, failed)
    core.unlock()


# The oldest staged record has been handled. `shown`: as in `record_done`.
cdef void settle_oldest(Engine* engine, Sink* sink, const char* record, const char* shown, bint failed) noexcept nogil:
    cdef Line line
    cdef bint wanted = shown != NULL
    cdef uint64_t sequence, filters
    if sink.staging.marks.first == sink.staging.marks.last:
        return
    sequence = sink.staging.marks.mark[sink.staging.marks.first].sequence
    filters = sink.staging.marks.mark[sink.staging.marks.first].end
    sink.staging.marks.first += 1
    if failed or not wanted or sink.target == TARGET_FUNCTION:
        staged_leaves(sink, sequence)
    sink.staging.start += (<const RecordHeader*> record).size
    if sink.staging.start == sink.staging.records.size:
        sink.staging.start = 0
        sink.staging.records.size = 0
        buffer_trim(&sink.staging.records, 4 * sink.backlog_limit)
    if sink.target == TARGET_FUNCTION:
        sink.trouble.since_ns = 0  # the function is slow, but does not hang
    if sequence & NOTICE_BIT:
        sink.staging.marks.notices -= 1
    elif failed:
        engine_fail(engine, sequence)
        sink.tally.failed += 1
        sink.tally.told += 1  # by its exception
    elif note_decision(engine, sequence, filters, wanted):
        sink.tally.filtered += 1
    elif sink.target == TARGET_FUNCTION:
        sink.tally.records += 1
    else:
        engine_line(engine, shown, &line)
        if sink.dedup_ns and repeats_take(engine, sink, &line, sequence):
            staged_leaves(sink, sequence)
        else:
            deliver_line(engine, sink, &line, sequence)


def records_end(SinkHandle handle not None):
    """Called when all records of `take_records` have been handled. After a SystemExit, the rest of them is taken again."""
    cdef Sink* sink = handle.core.lock_sink(handle.id)
    sink.python.busy = NOT_BUSY
    if sink.staging.records.size == 0 and sink.target == TARGET_FUNCTION:
        sink.trouble.since_ns = 0
    if sink.staging.records.size:
        sink.python.work |= WORK_RECORDS
    handle.core.unlock()
