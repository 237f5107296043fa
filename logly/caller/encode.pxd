"""The caller's side of a log call: copies the bits of its arguments into the ring.

`encode` writes one record at a cursor. It reads C structures only, so nothing between a reservation and its commit can run
Python code, allocate, block or raise. It refuses what it cannot copy as bits (NOT_NATIVE). The caller's thread then renders
that first, outside of the reservation.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int16_t, int32_t, int64_t, int8_t, uint16_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memcpy

from logly.layout.message cimport Program
from logly.ring.gate cimport NEED_THREAD
from logly.ring.leases cimport FREE_THREADED
from logly.ring.record cimport (
    EXCEPTION_TEXTS, HAS_EXCEPTION, HAS_NAME, HAS_PROCESS, HAS_SITE, HAS_STACK, HAS_THREAD, HAS_THREAD_NAME, HAS_TIME,
    IS_KEPT, MAY_REPEAT, TAG_BYTES, TAG_FALSE, TAG_FLOAT, TAG_INT, TAG_LATIN1, TAG_NONE, TAG_TRUE, TAG_UCS2, TAG_UCS4, TAG_UINT,
    TAG_UTF8, TRACE_TEXTS, Cursor, RecordHeader, align_record, put_counted, put_raw, put_record_end, put_tag, put_word,
)
from logly.ring.ring cimport RECORD_INLINE, Ring, ring_begin, ring_commit, ring_end, ring_room_to_keep, ring_window
from logly.system.clock cimport clock_ticks
from logly.system.cpython cimport (
    PY_FALSE, PY_NONE, PY_TRUE, PyThreadState_Get, bytes_data, bytes_length, float_bits, int_bits, is_bytes, is_float,
    is_int, is_str, text_data, text_kind_of, text_length_of, thread_ident, tuple_item, tuple_length,
)
from logly.text.buffer cimport Text, copy_text
from logly.text.format_spec cimport KIND_BOOL, KIND_BYTES, KIND_FLOAT, KIND_INT, KIND_NONE, KIND_STR

cdef enum:
    MAX_NAME_STEPS = 4096      # comparisons of names until `str.format` is asked instead, for templates in a strange order

# What becomes of a record, as a type: the same code is compiled for records that are written and for those that the flight
# recorder keeps, so that a written one pays nothing for the other kind.
ctypedef int8_t ToWrite
ctypedef int16_t ToKeep
ctypedef fused Fate:
    ToWrite
    ToKeep


cdef enum Encoded:
    ENCODED = 0
    NO_ROOM
    NOT_NATIVE


# Where a record was made that somebody else logs: one of `logging` that came through a queue, a socket or a pickle.
cdef struct Origin:
    uint64_t thread
    uint64_t process           # 0: this one
    bint has_time
    int64_t time_ns            # since 1970, where it has a time


# One log call. Everything is borrowed from the caller's frame.
cdef struct Call:
    int32_t level_number
    uint8_t level
    PyObject* message
    PyObject** args            # positional arguments after the message
    Py_ssize_t arg_count
    PyObject* names            # tuple of the fields' names, or NULL
    PyObject** values          # the fields' values
    const char* bound          # fields that bind() encoded
    uint32_t bound_size
    uint16_t bound_fields
    const char* context        # fields that contextualize() encoded
    uint32_t context_size
    uint16_t context_fields
    Program* program           # NULL: the message is text
    uint32_t site
    PyObject** inline_site     # module, function, path (str) and line (int) where `site` is 0, or NULL
    PyObject* thread_name
    PyObject** traces          # EXCEPTION_TEXTS str (or bytes) or a first NULL, then STACK_TEXTS str or a first NULL; or NULL
    const Origin* origin       # or NULL: the calling thread, this process
    uint16_t flags             # of `RecordFlag`: those that do not follow from the rest
    uint16_t name              # number of the logger's name
    const Text* name_inside    # the name itself where it has no number, or NULL


cdef inline int put_text(Cursor* out, PyObject* text) noexcept nogil:
    cdef int kind = text_kind_of(text)
    cdef uint64_t count = <uint64_t> text_length_of(text)
    cdef uint8_t tag = TAG_UTF8
    if kind:
        tag = TAG_LATIN1 if kind == 1 else TAG_UCS2 if kind == 2 else TAG_UCS4
    else:
        kind = 1
    if count > 0xFFFFFFF0u:
        return False
    return put_counted(out, tag, text_data(text), <uint32_t> count, count * <uint64_t> kind)


cdef inline int put_int(Cursor* out, PyObject* value) noexcept nogil:
    cdef int64_t bits
    cdef int fits = int_bits(value, &bits)
    if fits == 0:
        return 0
    return KIND_INT if put_word(out, TAG_INT if fits == 1 else TAG_UINT, &bits) else -1


# Returns the KIND bit of the value that was written; 0: it is not native; -1: there is no room.
cdef inline int put_value(Cursor* out, PyObject* value) noexcept nogil:
    cdef double real
    if is_str(value):
        return KIND_STR if put_text(out, value) else -1
    if is_int(value):
        return put_int(out, value)
    if is_float(value):
        real = float_bits(value)
        return KIND_FLOAT if put_word(out, TAG_FLOAT, &real) else -1
    if value == PY_NONE:
        return KIND_NONE if put_tag(out, TAG_NONE) else -1
    if value == PY_TRUE:
        return KIND_BOOL if put_tag(out, TAG_TRUE) else -1
    if value == PY_FALSE:
        return KIND_BOOL if put_tag(out, TAG_FALSE) else -1
    if is_bytes(value) and bytes_length(value) < 0x7FFFFFFF:
        if put_counted(out, TAG_BYTES, bytes_data(value), <uint32_t> bytes_length(value), <uint64_t> bytes_length(value)):
            return KIND_BYTES
        return -1
    return 0


cdef inline int encode_args(Cursor* out, const Call* call) noexcept nogil:
    cdef Py_ssize_t i
    cdef int kind
    for i in range(call.arg_count):
        kind = put_value(out, call.args[i])
        if kind <= 0:
            return NOT_NATIVE if kind == 0 else NO_ROOM
        # An argument that the template does not use is copied too. The renderer ignores it, as str.format does.
        if i < call.program.required and not call.program.accepts[i] & <uint32_t> kind:
            return NOT_NATIVE
    return ENCODED


# True when every field that the template names is among the call's own fields, and of a kind that is rendered natively.
cdef inline bint names_are_given(const Call* call, uint32_t* kinds) noexcept nogil:
    cdef Py_ssize_t count = tuple_length(call.names) if call.names != NULL else 0
    cdef Py_ssize_t left = MAX_NAME_STEPS + 8 * count
    cdef Py_ssize_t i = 0
    cdef Py_ssize_t tried
    cdef uint16_t n
    if call.program.names > count:
        return False
    for n in range(call.program.names):
        # The search begins behind the last field, because a template mostly names the fields in the order of the call.
        tried = 0
        while <void*> tuple_item(call.names, i) != call.program.name[n]:
            tried += 1
            if tried == count:
                return False
            i = i + 1 if i + 1 < count else 0
        left -= tried
        if left < 0 or not call.program.name_accepts[n] & (kinds[i] if i < 64 else kind_of_copied(call.values[i])):
            return False
        i = i + 1 if i + 1 < count else 0
    return True


# The KIND bit of a value that `put_value` has copied.
cdef inline uint32_t kind_of_copied(PyObject* value) noexcept nogil:
    if is_str(value):
        return KIND_STR
    if is_int(value):
        return KIND_INT
    if is_float(value):
        return KIND_FLOAT
    if value == PY_NONE:
        return KIND_NONE
    return KIND_BYTES if is_bytes(value) else KIND_BOOL


cdef inline int encode_fields(Cursor* out, const Call* call) noexcept nogil:
    cdef Py_ssize_t count = tuple_length(call.names)
    cdef Py_ssize_t i
    cdef int kind
    cdef uint32_t kinds[64]
    for i in range(count):
        # The careful way escapes lone surrogates in a name first, so that two names do not become one key.
        if text_kind_of(tuple_item(call.names, i)) > 1:
            return NOT_NATIVE
        if not put_text(out, tuple_item(call.names, i)):
            return NO_ROOM
        kind = put_value(out, call.values[i])
        if kind <= 0:
            return NOT_NATIVE if kind == 0 else NO_ROOM
        if i < 64:
            kinds[i] = <uint32_t> kind
    if call.program != NULL and call.program.names and not names_are_given(call, kinds):
        return NOT_NATIVE
    return ENCODED


cdef inline bint encode_front(Cursor* out, const Call* call, uint32_t needs, uint16_t* flags) noexcept nogil:
    cdef uint64_t ident
    cdef int i
    if call.origin != NULL and call.origin.process:
        flags[0] |= HAS_PROCESS
        if not put_raw(out, &call.origin.process, 8):
            return False
    if call.origin != NULL and call.origin.has_time:
        flags[0] |= HAS_TIME
        if not put_raw(out, &call.origin.time_ns, 8):
            return False
    if call.name_inside != NULL:
        flags[0] |= HAS_NAME
        if not put_raw(out, &call.name_inside.size, 4) or not put_raw(out, call.name_inside.data, call.name_inside.size):
            return False
    if needs & NEED_THREAD:
        ident = call.origin.thread if call.origin != NULL else thread_ident(PyThreadState_Get())
        flags[0] |= HAS_THREAD
        if not put_raw(out, &ident, 8):
            return False
    if call.thread_name != NULL:
        flags[0] |= HAS_THREAD_NAME
        if not put_text(out, call.thread_name):
            return False
    if call.inline_site != NULL:
        flags[0] |= HAS_SITE
        for i in range(3):
            if not put_text(out, call.inline_site[i]):
                return False
        if put_value(out, call.inline_site[3]) <= 0:
            return False
    return True


cdef inline bint encode_traces(Cursor* out, const Call* call, uint16_t* flags) noexcept nogil:
    cdef int i
    if call.traces[0] != NULL:
        flags[0] |= HAS_EXCEPTION
        for i in range(EXCEPTION_TEXTS):
            if put_value(out, call.traces[i]) <= 0:
                return False
    if call.traces[EXCEPTION_TEXTS] != NULL:
        flags[0] |= HAS_STACK
        for i in range(EXCEPTION_TEXTS, TRACE_TEXTS):
            if not put_text(out, call.traces[i]):
                return False
    return True


cdef inline int encode(Cursor* out, const Call* call, uint32_t needs) noexcept nogil:
    cdef RecordHeader* header = <RecordHeader*> out.at
    cdef Py_ssize_t fields = tuple_length(call.names) if call.names != NULL else 0
    cdef uint16_t flags = call.flags
    cdef int status
    if out.end - out.at < <Py_ssize_t> sizeof(RecordHeader):
        return NO_ROOM
    out.at += sizeof(RecordHeader)
    header.ticks = clock_ticks()
    if (
        needs & NEED_THREAD or call.thread_name != NULL or call.inline_site != NULL or call.origin != NULL
        or call.name_inside != NULL
    ) and not encode_front(out, call, needs, &flags):
        return NO_ROOM
    if call.program != NULL:
        status = encode_args(out, call)
        if status:
            return status
    elif not put_text(out, call.message):
        return NO_ROOM
    if call.context_size and not put_raw(out, call.context, call.context_size):
        return NO_ROOM
    if call.bound_size and not put_raw(out, call.bound, call.bound_size):
        return NO_ROOM
    if fields:
        status = encode_fields(out, call)
        if status:
            return status
    elif call.program != NULL and call.program.names:
        return NOT_NATIVE
    # Fields come from two of context, bind and call, so the same name may come twice.
    if (call.context_size != 0) + (call.bound_size != 0) + (fields != 0) > 1:
        flags |= MAY_REPEAT
    if call.traces != NULL and not encode_traces(out, call, &flags):
        return NO_ROOM
    header.kind = RECORD_INLINE
    header.level = call.level
    header.flags = flags
    header.template_id = call.program.id if call.program != NULL else 0
    header.site = call.site
    put_record_end(
        header, <uint16_t> call.arg_count if call.program != NULL else 0,
        <uint16_t> (fields + call.bound_fields + call.context_fields), call.level_number, call.name,
    )
    return ENCODED


# Rounds the record's size up, because the next record must start at a multiple of 8. The bytes in between are unused.
cdef inline uint64_t finish_record(char* record, Cursor* out) noexcept nogil:
    cdef uint64_t size = align_record(<uint64_t> (out.at - record))
    (<RecordHeader*> record).size = <uint32_t> size
    return size


# Encodes straight into the ring when the record fits into the space that is known to be free behind the head. Otherwise returns
# NO_ROOM: the ring may be full, the lap may end, or the record may be too large. The careful way finds out which.
# ToKeep: `call.flags` has IS_KEPT.
cdef inline int encode_in_place(Ring* ring, const Call* call, uint32_t needs, uint64_t limit, Fate fate) noexcept nogil:
    cdef uint64_t room
    cdef Cursor out
    cdef char* record = ring_window(ring, &room)
    cdef int status
    if Fate is ToKeep:
        room = ring_room_to_keep(ring, room) & ~<uint64_t> 7
    out.at = record
    out.end = record + room
    if FREE_THREADED:
        ring_begin(ring)
    status = encode(&out, call, needs)
    # `end` is a multiple of 8, as every position is, so the rounded size fits into the window, too.
    if status == ENCODED:
        if <uint64_t> (out.at - record) > limit:
            status = NO_ROOM
        else:
            commit_record(ring, record, finish_record(record, &out), fate)
    if FREE_THREADED:
        ring_end(ring)
    return status


# The most common call, a message without arguments or fields. Writes what `encode_in_place` would write, without checking for
# anything else. `site`: the id of the call site, where one is needed; `name`: the number of the logger's name.
cdef inline int text_in_place(
    Ring* ring, PyObject* message, int32_t number, uint8_t level, uint32_t site, uint16_t name, uint32_t needs, uint64_t limit,
    Fate fate,
) noexcept nogil:
    cdef uint64_t room, ident
    cdef uint64_t length = <uint64_t> text_length_of(message)
    cdef uint32_t count = <uint32_t> length
    cdef char* record = ring_window(ring, &room)
    cdef RecordHeader* header = <RecordHeader*> record
    cdef char* at = record + sizeof(RecordHeader)
    cdef uint64_t size = align_record(sizeof(RecordHeader) + 8 + 5 + length)
    if Fate is ToKeep:
        room = ring_room_to_keep(ring, room)
    if size > room or size > limit:
        return NO_ROOM
    if FREE_THREADED:
        ring_begin(ring)
    header.ticks = clock_ticks()
    header.kind = RECORD_INLINE
    header.level = level
    header.flags = IS_KEPT if Fate is ToKeep else 0
    header.template_id = 0
    header.site = site
    put_record_end(header, 0, 0, number, name)
    if needs & NEED_THREAD:
        ident = thread_ident(PyThreadState_Get())
        memcpy(at, &ident, 8)
        at += 8
        header.flags |= HAS_THREAD
    else:
        size = align_record(sizeof(RecordHeader) + 5 + length)
    header.size = <uint32_t> size
    at[0] = TAG_UTF8
    memcpy(at + 1, &count, 4)
    copy_text(at + 5, <const char*> text_data(message), length)
    commit_record(ring, record, size, fate)
    if FREE_THREADED:
        ring_end(ring)
    return ENCODED


# The same for a message with fields of its surroundings or of bind(), which are in `call`, with the rest of the record.
# (One function for both costs messages without fields a nanosecond: the compiler puts it inline only if it is called once.)
cdef inline int text_with_fields_in_place(
    Ring* ring, const Call* call, uint32_t needs, uint64_t limit, Fate fate
) noexcept nogil:
    cdef uint64_t room
    cdef uint64_t length = <uint64_t> text_length_of(call.message)
    cdef uint32_t count = <uint32_t> length
    cdef char* record = ring_window(ring, &room)
    cdef RecordHeader* header = <RecordHeader*> record
    cdef char* at = record + sizeof(RecordHeader)
    cdef uint64_t size = align_record(
        sizeof(RecordHeader) + (8 if needs & NEED_THREAD else 0) + 5 + length + call.context_size + call.bound_size
    )
    cdef uint64_t ident
    if Fate is ToKeep:
        room = ring_room_to_keep(ring, room)
    if size > room or size > limit:
        return NO_ROOM
    if FREE_THREADED:
        ring_begin(ring)
    header.ticks = clock_ticks()
    header.kind = RECORD_INLINE
    header.level = call.level
    header.flags = call.flags | (MAY_REPEAT if call.context_size and call.bound_size else 0)
    header.template_id = 0
    header.site = call.site
    header.size = <uint32_t> size
    put_record_end(header, 0, <uint16_t> (call.context_fields + call.bound_fields), call.level_number, call.name)
    if needs & NEED_THREAD:
        ident = thread_ident(PyThreadState_Get())
        memcpy(at, &ident, 8)
        at += 8
        header.flags |= HAS_THREAD
    at[0] = TAG_UTF8
    memcpy(at + 1, &count, 4)
    copy_text(at + 5, <const char*> text_data(call.message), length)
    at += 5 + length
    if call.context_size:
        memcpy(at, call.context, call.context_size)
    if call.bound_size:
        memcpy(at + call.context_size, call.bound, call.bound_size)
    commit_record(ring, record, size, fate)
    if FREE_THREADED:
        ring_end(ring)
    return ENCODED


cdef inline void commit_record(Ring* ring, char* record, uint64_t size, Fate fate) noexcept nogil:
    if FREE_THREADED:
        ring.last_ticks = (<RecordHeader*> record).ticks
    ring_commit(ring, size, Fate is ToKeep)
