"""A dump of the flight recorder: kept records go to the sinks, before the record that failed, on demand, or after a death.

A dump first makes all that it will write late, each under its own number (ring/recorder.pxd). Then it delivers them one after the
other. It stops where a sink has no room, and goes on at a later pass. What comes after it in the rings waits meanwhile.

Sinks' levels do not hold it back. What else a sink selects by (module, function, filter) does.
"""

from libc.stdint cimport INT32_MIN, int64_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memcmp, memcpy

from logly.flusher.deliver cimport (
    append_notice, engine_line, notice_dropped, route_has_room, takes_notices, tell_repeats_before,
)
from logly.flusher.marks cimport LATE_BIT
from logly.flusher.route cimport begin_routes, is_of_wanted_site, is_served_elsewhere
from logly.flusher.route_cache cimport Route
from logly.flusher.shown cimport Shown, deliver_shown, shown_line
from logly.flusher.sink cimport Sink, late_enters
from logly.flusher.state cimport DUMP_COUNTS, RELEASE_BYTES, Engine, late_is_safe
from logly.layout.field_names cimport find_field, hash_bytes
from logly.layout.line cimport Line
from logly.ring.gate cimport DROP_KEPT
from logly.ring.record cimport (
    TAG_FLOAT, TAG_INT, TAG_UCS4, TAG_UINT, TAG_UTF8, RecordHeader, RecordView, Value, record_view, same_text,
    unit_size,
)
from logly.ring.recorder cimport (
    NO_ENTRY, WAS_LATE, KeptEntry, Recorder, RecorderState, entry_at, record_of, recorder_head, recorder_keep,
    recorder_make_late, recorder_taken, recorder_trim,
)
from logly.spool.format cimport LateEntry, Spool
from logly.system.atomic cimport load_relaxed, store_release
from logly.system.clock cimport calibration_is_due, calibration_ns, calibration_refresh


# ---- the field that records are selected by

cdef inline bint is_string(const Value* value) noexcept nogil:
    return TAG_UTF8 <= value.tag <= TAG_UCS4


cdef inline bint same_value(const Value* a, const Value* b) noexcept nogil:
    # Strings may be stored in several ways. A string is no bytes, and not the JSON text of a list.
    if a.tag != b.tag and not (is_string(a) and is_string(b)):
        return False
    if a.tag >= TAG_UTF8:
        return same_text(a, b)
    if a.tag == TAG_FLOAT:
        return memcmp(&a.real, &b.real, 8) == 0
    return a.integer == b.integer if a.tag == TAG_INT or a.tag == TAG_UINT else True


# Finds the value of the field in a record. `found.data` and `found.count` are those of a text.
cdef inline bint selecting_value(const Engine* engine, const RecordHeader* record, Value* found) noexcept nogil:
    cdef RecordView view
    if record.fields == 0:
        return False
    record_view(<const char*> record, &view)
    return find_field(&view, &engine.recording.field, found)


# 0: the record does not have the field. Equal values have equal hashes.
cdef inline uint64_t hash_of_value(const Engine* engine, const RecordHeader* record) noexcept nogil:
    cdef Value value
    if not selecting_value(engine, record, &value):
        return 0
    if value.tag >= TAG_UTF8:
        return 1 + <uint64_t> hash_bytes(value.data, <size_t> value.count * unit_size(value.tag))
    if value.tag == TAG_FLOAT:
        return 1 + <uint64_t> hash_bytes(<const char*> &value.real, 8)
    if value.tag == TAG_INT or value.tag == TAG_UINT:
        return 1 + <uint64_t> hash_bytes(<const char*> &value.integer, 8)
    return 1 + <uint64_t> value.tag


# Called for entries whose hashes are of another field, or of another process: each process has its own keys for them.
cdef inline void dump_rehash(Engine* engine) noexcept nogil:
    cdef Recorder* recorder = &engine.recorder
    cdef uint64_t at, head
    cdef KeptEntry* entry
    if recorder.state == NULL:
        return
    at = recorder.state.tail
    head = recorder_head(recorder)
    while at != head:
        entry = entry_at(recorder, at)
        if entry.kind != NO_ENTRY and record_of(entry) != NULL:
            entry.hashed = hash_of_value(engine, record_of(entry))
        at += entry.size


cdef inline bint is_selected(
    const Engine* engine, KeptEntry* entry, uint64_t hashed, bint by_field, bint has_value, const Value* value
) noexcept nogil:
    cdef Value own
    cdef RecordHeader* record
    record = record_of(entry)
    if record == NULL:
        return False
    if not by_field:
        return True
    if entry.hashed != hashed:
        return False
    if not has_value:
        return True
    return selecting_value(engine, record, &own) and same_value(&own, value)


# ---- keeping

# Takes a record that is for the flight recorder. Returns True when its block, if it has one, has a new owner.
cdef inline bint keep_record(Engine* engine, const char* record, const RecordHeader* proper, Spool* spool) noexcept nogil:
    cdef Recorder* recorder = &engine.recorder
    cdef int64_t time_ns
    cdef uint64_t hashed = 0
    cdef bint is_moved
    engine.books.kept_drained += 1
    if spool != NULL:
        spool.kept_next += 1
        if recorder.fd >= 0 and spool.kept_next <= recorder_taken(recorder):
            return False  # a process that has died had copied it, and not released it
    if recorder.state == NULL:
        recorder.overwritten += 1
        return False
    if calibration_is_due(&engine.workspace.calibration, proper.ticks):
        calibration_refresh(&engine.workspace.calibration)
    time_ns = calibration_ns(&engine.workspace.calibration, proper.ticks)
    if engine.recording.field.data != NULL:
        hashed = hash_of_value(engine, proper)
    is_moved = recorder_keep(
        recorder, record, proper, time_ns, hashed, late_is_safe(engine), recorder_taken(recorder) + 1,
    )
    if proper.level_number >= engine.recording.trigger:
        dump_begin(engine, proper, time_ns, True)
    return is_moved


# ---- dumps

# From which level on a record is to be looked at before it is delivered: see `dump_before`.
cdef inline void dump_watch(Engine* engine) noexcept nogil:
    if engine.dump.is_on or engine.dump.is_resumed or engine.dump.asked:
        engine.dump.watch = INT32_MIN
    else:
        engine.dump.watch = engine.recording.trigger


cdef inline bint any_sink_dumps(Engine* engine) noexcept nogil:
    cdef uint32_t i
    if engine.books.drained >= engine.routes.valid_until:
        begin_routes(engine)
    for i in range(engine.room.open_count):
        if engine.room.open[i].selection.dumps:
            return True
    return False


# The number of the next record of the ring, as the recorder's file counts.
cdef inline uint64_t number_in_file(const Engine* engine) noexcept nogil:
    return engine.books.drained - (engine.spool.base if engine.recorder.fd >= 0 and engine.spool != NULL else 0)


# True while an engine that delivers what a dead process left is at a record that the dead process had taken from the ring. Its
# dump has begun then, and what is kept now was kept later.
cdef inline bint was_passed(const Engine* engine) noexcept nogil:
    if not engine.dump.is_resumed or engine.spool == NULL:
        return False
    return engine.dump.resumed < engine.spool.late_entries or engine.spool.kept_next < recorder_taken(&engine.recorder)


# Begins a dump before the next record. `record`: the one that failed, or NULL; `by_field`: only what has the same value of the
# field as that one.
cdef inline void dump_begin(Engine* engine, const RecordHeader* record, int64_t logged_ns, bint by_field) noexcept nogil:
    cdef Recorder* recorder = &engine.recorder
    cdef uint64_t at, head, hashed = 0
    cdef KeptEntry* entry
    cdef Value value
    cdef bint has_value = False
    cdef uint64_t first
    if engine.dump.is_on or recorder.state == NULL or recorder.kept == 0 or not any_sink_dumps(engine):
        return
    if was_passed(engine):
        return
    by_field = by_field and record != NULL and engine.recording.field.data != NULL
    if by_field:
        has_value = selecting_value(engine, record, &value)
        hashed = hash_of_value(engine, record)
    first = recorder.state.late
    engine.dump.before = number_in_file(engine)
    at = recorder.state.tail
    head = recorder_head(recorder)
    while at != head:
        entry = entry_at(recorder, at)
        if entry.kind != NO_ENTRY and entry.late == 0:
            if is_selected(engine, entry, hashed, by_field, has_value, &value):
                recorder_make_late(recorder, entry, engine.dump.before)
        at += entry.size
    if recorder.state.late == first:
        return
    begin_serial(engine, logged_ns)
    dump_watch(engine)
    tell_not_kept(engine)


cdef inline void begin_serial(Engine* engine, int64_t logged_ns) noexcept nogil:
    engine.dump.is_on = True
    engine.dump.at = engine.recorder.state.tail
    engine.dump.logged_ns = logged_ns
    engine.dump.serial += 1
    engine.dump.heading_size = 0


# Goes on with a dump whose entries have moved to another recorder: see `recorder_move`.
cdef inline void dump_moved(Engine* engine) noexcept nogil:
    cdef Recorder* recorder = &engine.recorder
    cdef uint64_t at, head
    cdef KeptEntry* entry
    engine.dump.is_on = False
    if recorder.state == NULL:
        return
    engine.dump.at = at = recorder.state.tail
    head = recorder_head(recorder)
    while at != head:
        entry = entry_at(recorder, at)
        if entry.kind != NO_ENTRY and entry.late == 0 and entry.before == WAS_LATE:
            recorder_make_late(recorder, entry, engine.dump.before)
            engine.dump.is_on = True
        at += entry.size


# Says in the log how many records the recorder did not get.
cdef inline void tell_not_kept(Engine* engine) noexcept nogil:
    cdef char text[160]
    cdef uint64_t dropped = load_relaxed(&engine.intake.traffic.dropped[<int> DROP_KEPT])
    cdef uint64_t told = engine.books.told_dropped[<int> DROP_KEPT]
    cdef uint32_t size, i
    if dropped == told:
        return
    size = notice_dropped(text, sizeof(text), dropped - told, DROP_KEPT)
    engine.books.told_dropped[<int> DROP_KEPT] = dropped
    for i in range(engine.room.open_count):
        if engine.room.open[i].selection.dumps:
            tell_repeats_before(engine, engine.room.open[i])
            append_notice(engine, engine.room.open[i], text, size, 0)


# Has the dump that has just begun write a line before its records: how many they are, and `tail`.
cdef inline void dump_head(Engine* engine, uint64_t count, const char* tail, uint32_t size) noexcept nogil:
    cdef uint32_t i
    cdef Sink* sink
    engine.dump.heading_size = heading_of_dump(engine.dump.heading, sizeof(engine.dump.heading), count, tail, size)
    for i in range(engine.room.open_count):
        sink = engine.room.open[i]
        # Where a filter decides about the records, the line comes before all of them.
        if sink.late.headed == engine.dump.serial:
            continue
        if sink.selection.dumps and sink.selection.filtered and takes_notices(sink):
            sink.late.headed = engine.dump.serial
            tell_repeats_before(engine, sink)
            append_notice(engine, sink, engine.dump.heading, engine.dump.heading_size, 0)


cdef extern from * nogil:
    """
    #ifndef LOGLY_DUMP
    #define LOGLY_DUMP
    #include <cstdio>
    #include <cstring>
    static inline uint32_t heading_of_dump(char* out, size_t room, uint64_t count, const char* tail, uint32_t size) {
        uint32_t used = (uint32_t)snprintf(out, room, "logly: %llu record%s of the flight recorder",
                                           (unsigned long long)count, count == 1 ? "" : "s");
        if (size > room - used) size = (uint32_t)(room - used);
        memcpy(out + used, tail, size);
        return used + size;
    }
    #endif
    """
    uint32_t heading_of_dump(char* out, size_t room, uint64_t count, const char* tail, uint32_t size) noexcept


# Makes the list of the sinks that get this late record.
cdef inline Route* route_of_late(Engine* engine, const Line* line, uint64_t number) noexcept nogil:
    cdef Route* route = &engine.room.made
    cdef Sink* sink
    cdef uint32_t i
    if engine.books.drained >= engine.routes.valid_until:
        begin_routes(engine)
    route.count = 0
    route.is_undecided = False
    for i in range(engine.room.open_count):
        sink = engine.room.open[i]
        if not sink.selection.dumps or sink.selection.refuses & <uint8_t> line.view.header.flags:
            continue
        if number >= sink.late.from_number and is_of_wanted_site(engine, sink, line):
            route.sink[route.count] = sink
            route.count += 1
    return route


cdef inline bint deliver_entry(Engine* engine, KeptEntry* entry) noexcept nogil:
    cdef uint64_t number = entry.late - 1
    cdef RecordHeader* record = record_of(entry)
    cdef Line line
    cdef Shown shown
    cdef Route* route
    cdef Sink* sink
    cdef uint32_t i
    if record == NULL:
        engine.dump.delivered = number + 1
        return True
    engine_line(engine, <const char*> record, &line)
    route = route_of_late(engine, &line, number)
    if not route_has_room(engine, route):
        return False
    shown_line(engine, route, &line, &shown)
    if route.count == 0:
        engine.books.refused += 1
    for i in range(route.count):
        sink = route.sink[i]
        late_enters(sink, number, engine.books.drained)
        sink.late.offered += 1
        deliver_shown(engine, sink, &line, &shown, LATE_BIT | number, 0)
    engine.dump.delivered = number + 1
    return True


# Delivers the entries of the dump. Returns False when some are left: a sink has no room, or another thread waits for the lock.
cdef inline bint dump_continue(Engine* engine) noexcept nogil:
    cdef Recorder* recorder = &engine.recorder
    cdef uint64_t head = recorder_head(recorder)
    cdef uint64_t done = 0
    cdef KeptEntry* entry
    if <int64_t> (engine.dump.at - recorder.state.tail) < 0:
        engine.dump.at = recorder.state.tail
    while engine.dump.at != head:
        entry = entry_at(recorder, engine.dump.at)
        if entry.kind != NO_ENTRY and entry.late > engine.dump.delivered:
            if done >= RELEASE_BYTES and engine.pace.gives_way and load_relaxed(&engine.lock.waiters):
                return False
            if not deliver_entry(engine, entry):
                return False
            done += entry.size
        engine.dump.at += entry.size
    engine.dump.is_on = False
    recorder_trim(recorder, late_is_safe(engine))
    dump_watch(engine)
    return True


# Called before a record at or above `Dump.watch` is delivered. Returns False when the record must wait.
cdef inline bint dump_before(Engine* engine, const Line* line) noexcept nogil:
    cdef const RecordHeader* header = line.view.header
    if not dump_due(engine, header.ticks):
        return False
    if header.level_number >= engine.recording.trigger and engine.recorder.kept and not is_served_elsewhere(engine, line):
        if not engine.dump.is_looked_for or engine.dump.looked_before != engine.books.drained:
            engine.dump.is_looked_for = True
            engine.dump.looked_before = engine.books.drained
            dump_begin(engine, header, line.logged_ns, True)
            if engine.dump.is_on and not dump_continue(engine):
                return False
    # The index may have been made for another record.
    engine.workspace.index.of = NULL
    return True


# Goes on with what has begun, and begins what was asked for before `ticks`. Returns False when something is left.
cdef inline bint dump_due(Engine* engine, uint64_t ticks) noexcept nogil:
    if engine.dump.is_resumed and engine.spool != NULL and not dump_resume(engine, number_in_file(engine)):
        return False
    if engine.dump.is_on and not dump_continue(engine):
        return False
    if engine.dump.asked and <int64_t> (ticks - engine.dump.asked_ticks) > 0:
        dump_asked(engine)
        if engine.dump.is_on and not dump_continue(engine):
            return False
    return True


cdef inline void dump_asked(Engine* engine) noexcept nogil:
    cdef uint64_t before = engine.recorder.kept
    cdef uint64_t count
    engine.dump.asked = False
    dump_begin(engine, NULL, calibration_ns(&engine.workspace.calibration, engine.dump.asked_ticks), False)
    count = before - engine.recorder.kept
    while engine.dump.served != engine.dump.requests:
        engine.dump.served += 1
        engine.dump.counts[engine.dump.served % DUMP_COUNTS] = count
    if engine.dump.is_on and engine.dump.asked_tail_size:
        dump_head(engine, count, engine.dump.asked_tail, engine.dump.asked_tail_size)
    dump_watch(engine)


# ---- after a death: see control/spooling.pxi

# Goes on with the dumps that a dead process had begun, each before its record, up to that of the number `until`. (What a recovery
# that was killed had begun to write comes last, in `begin_left`.) Returns False when something is left.
cdef inline bint dump_resume(Engine* engine, uint64_t until) noexcept nogil:
    cdef const LateEntry* late
    cdef KeptEntry* entry
    cdef uint64_t done = 0
    while engine.dump.resumed < engine.spool.late_entries:
        late = &engine.spool.late_entry[engine.dump.resumed]
        if engine.recorder.state.left_from and late.late >= engine.recorder.state.left_from:
            return True
        if late.late > engine.dump.delivered:
            entry = entry_at(&engine.recorder, late.position)
            if entry.before > until:
                return True
            if done >= RELEASE_BYTES and engine.pace.gives_way and load_relaxed(&engine.lock.waiters):
                return False
            if not deliver_entry(engine, entry):
                return False
            done += entry.size
        engine.dump.resumed += 1
    return True


# Called when the dead process's ring is empty: what it had kept comes last. Returns False when something is left.
cdef inline bint dump_left(Engine* engine) noexcept nogil:
    if not engine.dump.is_resumed or engine.recorder.state == NULL or engine.spool == NULL:
        return True
    # Also those before a record that the process died before it had committed.
    if not dump_resume(engine, <uint64_t> -1):
        return False
    engine.dump.is_resumed = False
    # A recovery that was killed may have begun with it.
    if engine.dump.takes_kept or engine.recorder.state.left_from:
        begin_left(engine)
    dump_watch(engine)
    return not engine.dump.is_on or dump_continue(engine)


# The line before them is written with the first of them. A sink that has written one of them has that line.
cdef inline void begin_left(Engine* engine) noexcept nogil:
    cdef RecorderState* state = engine.recorder.state
    cdef uint64_t first
    cdef Sink* sink
    cdef uint32_t i
    if not any_sink_dumps(engine):
        return
    if state.left_from == 0:
        state.left_ns = engine.dump.logged_ns
        store_release(&state.left_from, state.late + 1)
    first = state.left_from - 1
    dump_begin(engine, NULL, state.left_ns, False)
    if state.late == first:
        return
    if not engine.dump.is_on:
        begin_serial(engine, state.left_ns)
    for i in range(engine.room.open_count):
        sink = engine.room.open[i]
        if sink.late.from_number > first:
            sink.late.headed = engine.dump.serial
    dump_head(engine, state.late - first, engine.dump.asked_tail, engine.dump.asked_tail_size)
