# Records as Python objects, made on the flusher's thread for function sinks and Python filters.

import sys

from libc.stdint cimport uint32_t, uint64_t, uint8_t
from libc.string cimport memcpy, memset

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


cdef tuple site_objects(const Line* line):
    """(module, function, path, line number)"""
    if line.site != NULL:
        return (
            text_str(&line.site.module), text_str(&line.site.function), text_str(&line.site.path), line.site.line,
        )
    if line.view.site_path.data != NULL:
        return (
            value_object(&line.view.site_module), value_object(&line.view.site_function),
            value_object(&line.view.site_path), line.view.site_line,
        )
    return ("?", "?", "?", 0)


cdef object record_object(Core core, const char* record, object kind):
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
        line.time_ns, level[:level_size].decode("utf-8", "replace"), line.view.header.level_number, text, text_str(line.name),
        site_objects(&line), line.view.thread, value_object(&line.view.thread_name), line.process,
        field_objects(&line.view), exception_object(&line), stack_object(&line.view),
        line.view.header.flags & IS_KEPT != 0,
    )


def came_by_logging(bytes record not None):
    """Whether `logging` has made this record, which `take_records` has returned."""
    return (<const RecordHeader*> <const char*> record).flags & (BY_MODULE | IS_SERVED) != 0


def ticks_of(bytes record not None):
    """When the record was logged, by a clock that all loggers of the process share."""
    return (<const RecordHeader*> <const char*> record).ticks


def take_records(SinkHandle handle not None, kind):
    """The records that the sink has staged, as [(`kind` object, bytes)]. Each is pending until `record_done`."""
    cdef Core core = handle.core
    cdef Sink* sink = core.lock_sink(handle.id)
    cdef const char* at
    cdef bytes staged
    cdef size_t offset = 0
    cdef uint32_t size
    try:
        staged = sink.staging.records.data[sink.staging.start : sink.staging.records.size] if sink.staging.records.size else b""
        sink.python.work &= ~<uint32_t> WORK_RECORDS
        sink.python.busy = BUSY_RECORDS
    finally:
        core.unlock()
    records = []
    at = staged
    while offset < <size_t> len(staged):
        size = (<const RecordHeader*> (at + offset)).size
        records.append((record_object(core, at + offset, kind), staged[offset : offset + size]))
        offset += size
    return records


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
    cdef Line line
    cdef bint wanted = shown is not None
    cdef const char* data = record if shown is None else shown
    cdef uint64_t sequence, filters
    core.engine.pace.now_ns = clock_monotonic_ns()
    if sink.staging.marks.first != sink.staging.marks.last:
        sequence = sink.staging.marks.mark[sink.staging.marks.first].sequence
        filters = sink.staging.marks.mark[sink.staging.marks.first].end
        sink.staging.marks.first += 1
        if failed or not wanted or sink.target == TARGET_FUNCTION:
            staged_leaves(sink, sequence)
        sink.staging.start += len(record)
        if sink.staging.start == sink.staging.records.size:
            sink.staging.start = 0
            sink.staging.records.size = 0
            buffer_trim(&sink.staging.records, 4 * sink.backlog_limit)
        if sink.target == TARGET_FUNCTION:
            sink.trouble.since_ns = 0  # the function is slow, but does not hang
        if sequence & NOTICE_BIT:
            sink.staging.marks.notices -= 1
        elif failed:
            engine_fail(core.engine, sequence)
            sink.tally.failed += 1
        elif note_decision(core.engine, sequence, filters, wanted):
            sink.tally.filtered += 1
        elif sink.target == TARGET_FUNCTION:
            sink.tally.records += 1
        else:
            engine_line(core.engine, data, &line)
            if sink.dedup_ns and repeats_take(core.engine, sink, &line, sequence):
                staged_leaves(sink, sequence)
            else:
                deliver_line(core.engine, sink, &line, sequence)
    core.unlock()


def records_end(SinkHandle handle not None):
    """Called when all records of `take_records` have been handled. After a SystemExit, the rest of them is taken again."""
    cdef Sink* sink = handle.core.lock_sink(handle.id)
    sink.python.busy = NOT_BUSY
    if sink.staging.records.size == 0 and sink.target == TARGET_FUNCTION:
        sink.trouble.since_ns = 0
    if sink.staging.records.size:
        sink.python.work |= WORK_RECORDS
    handle.core.unlock()
