"""Layout of a record in the ring, and tagged values in and out of it.

    RecordHeader | process? | time? | logger's name? | thread id? | thread name? | inline site? | message or arguments | fields
    | exception? | stack?

Everything is packed, so values are read and written with memcpy. `RecordHeader.size` is rounded up to 8.
A value is one tag byte and its payload. The payload of a text is its code units exactly as CPython stores
them, so the producer copies and never transcodes. A field is a text value (the key) and a value.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint16_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memcmp, memcpy

from logly.system.assertions cimport assert_that
from logly.text.buffer cimport Text

cdef enum:
    MAX_FIELD_BYTES = 1 << 26      # of all the fields of one call, bind or context
    MAX_RECORD_BYTES = 0x7FFFFFFF  # the size field has 32 bits

cdef enum ValueTag:
    TAG_NONE = 0
    TAG_FALSE
    TAG_TRUE
    TAG_INT          # int64
    TAG_UINT         # uint64: an int from 2**63 on
    TAG_FLOAT        # double
    TAG_UTF8         # uint32 count, then so many bytes: ASCII or UTF-8
    TAG_LATIN1       # uint32 count, then so many code units
    TAG_UCS2
    TAG_UCS4
    TAG_BYTES        # uint32 count, then so many bytes
    TAG_NUMBER       # uint32 count, then the digits of an int that does not fit 64 bits
    TAG_JSON         # uint32 count, then JSON text (a nested list or dict, rendered by the caller)

cdef enum RecordFlag:
    HAS_THREAD = 1
    HAS_THREAD_NAME = 2
    HAS_SITE = 4           # the site is written in the record: module, function, path, line
    HAS_EXCEPTION = 8      # type, message, traceback text
    MAY_REPEAT = 16        # context, bind and call may have fields of the same name: the last one counts
    IS_INSIDE = 64         # logged by Python code that the flusher called: a sink's function or filter, or on_error
    IS_ECHO = 128          # logged by the write method of a sink's stream, or by the function of a batch sink
    IS_NOTICE = 32         # logly's own record ("N records dropped"): stats() does not count it
    HAS_PROCESS = 256      # the record was made in another process than the one that logs it
    HAS_TIME = 512         # the record has a time of its own, which is shown in place of that of the call
    HAS_STACK = 1024       # the stack of the call (stack_info=True)
    HAS_NO_SITE = 2048     # in a spool: its site is unknown. Else it has one there, by number or with HAS_SITE
    HAS_NAME = 4096        # the logger's name is written in the record: its size (uint32) and as much UTF-8
    BY_MODULE = 8192       # levels by name go by the record's module, even where the logger has a name: one of `logging`
    IS_SERVED = 16384      # for served handlers of `logging`: `origin` is the number of a ServedName, see flusher/served.pxd
    IS_KEPT = 32768        # for the flight recorder, and not for the sinks: the levels that held at the call do not write it
    KNOWN_FLAGS = 49151    # those that a record in a spool may have: all but IS_SERVED


# 32 bytes. `ticks` is the time of the call: it orders records and decides rotation. A record with a time of its own
# (HAS_TIME) shows that time instead.
cdef struct RecordHeader:
    uint32_t size          # RecordPrefix begins here
    uint8_t kind
    uint8_t level          # index into the engine's level table: name and colour
    uint16_t flags
    uint64_t ticks         # see system/clock.pxd
    uint32_t template_id   # 0: the message is one text value
    uint32_t site          # 0: none, or inline
    # RecordEnd begins here
    uint16_t args
    uint16_t fields
    int16_t level_number   # what filters compare: 0 to MAX_LEVEL (logly/levels.py), which is all that a log call takes
    uint16_t origin


cdef enum:
    # `origin` is the number of the logger's name. A program may make any number of names (a logger per connection), so those
    # after the first 65,534 of an engine share one reserved number, and the record itself has the name, as with HAS_SITE.
    OWN_NAME = 0               # the engine's own name
    NAME_INSIDE = 0xFFFF       # HAS_NAME


# The last 8 bytes of a header, which are written by one store.
cdef struct RecordEnd:
    uint16_t args
    uint16_t fields
    int16_t level_number
    uint16_t origin


# What a RECORD_HEAP record holds after its prefix: the record proper is elsewhere.
cdef struct RecordHeap:
    uint32_t size
    uint8_t kind
    uint8_t level
    uint16_t flags
    char* block
    uint64_t block_size
    uint64_t blob          # position of a copy of the block in the spool's file, or 0
    uint64_t checksum      # BLOB_CHECKED and the copy's CRC-32C, once a synced spool has been synced; or 0


# A value read from a record; `data` points into the record and may be unaligned.
cdef struct Value:
    uint8_t tag
    uint32_t count         # code units of a text, bytes of the rest
    int64_t integer        # also the bits of a TAG_UINT
    double real
    const char* data


cdef extern from * nogil:
    """
    #define LOGLY_BLOB_CHECKED (1ull << 32)
    """
    const uint64_t BLOB_CHECKED "LOGLY_BLOB_CHECKED"


# Where a producer writes. `at` never passes `end`.
cdef struct Cursor:
    char* at
    char* end


cdef inline uint32_t unit_size(uint8_t tag) noexcept nogil:
    if tag == TAG_UCS2:
        return 2
    if tag == TAG_UCS4:
        return 4
    return 1


# The kind that text/unicode.pxd takes: 0 for UTF-8, else the bytes of a code unit.
cdef inline int text_kind(uint8_t tag) noexcept nogil:
    if tag == TAG_LATIN1:
        return 1
    if tag == TAG_UCS2:
        return 2
    if tag == TAG_UCS4:
        return 4
    return 0


cdef inline bint put_word(Cursor* out, uint8_t tag, const void* word) noexcept nogil:
    if out.end - out.at < 9:
        return False
    out.at[0] = <char> tag
    memcpy(out.at + 1, word, 8)
    out.at += 9
    return True


cdef inline bint put_tag(Cursor* out, uint8_t tag) noexcept nogil:
    if out.end == out.at:
        return False
    out.at[0] = <char> tag
    out.at += 1
    return True


cdef inline bint put_counted(Cursor* out, uint8_t tag, const void* data, uint32_t count, uint64_t size) noexcept nogil:
    if <uint64_t> (out.end - out.at) < size + 5:
        return False
    out.at[0] = <char> tag
    memcpy(out.at + 1, &count, 4)
    memcpy(out.at + 5, data, size)
    out.at += size + 5
    return True


cdef inline bint put_raw(Cursor* out, const void* data, uint64_t size) noexcept nogil:
    if <uint64_t> (out.end - out.at) < size:
        return False
    memcpy(out.at, data, size)
    out.at += size
    return True


cdef enum:
    SUPPRESSED_BYTES = 5 + 10 + 9


# The field `suppressed`: how many records were held back before this one. It takes SUPPRESSED_BYTES.
cdef inline bint put_suppressed(Cursor* out, uint64_t held) noexcept nogil:
    return put_counted(out, TAG_UTF8, b"suppressed", 10, 10) and put_word(out, TAG_INT, &held)


# Reads the value at `at` and returns the address after it.
cdef inline const char* get_value(const char* at, Value* value) noexcept nogil:
    cdef uint8_t tag = <uint8_t> at[0]
    value.tag = tag
    value.count = 0
    value.data = NULL
    at += 1
    if tag >= TAG_UTF8:
        memcpy(&value.count, at, 4)
        value.data = at + 4
        return at + 4 + <uint64_t> value.count * unit_size(tag)
    if tag == TAG_FLOAT:
        memcpy(&value.real, at, 8)
        return at + 8
    if tag >= TAG_INT:
        memcpy(&value.integer, at, 8)
        return at + 8
    return at


cdef inline bint same_text(const Value* a, const Value* b) noexcept nogil:
    # CPython stores equal strings alike (in the narrowest kind), but ASCII text may be tagged as UTF-8 or as Latin-1.
    return (
        a.count == b.count
        and unit_size(a.tag) == unit_size(b.tag)
        and memcmp(a.data, b.data, <uint64_t> a.count * unit_size(a.tag)) == 0
    )


cdef inline void put_record_end(
    RecordHeader* header, uint16_t args, uint16_t fields, int32_t level_number, uint16_t origin
) noexcept nogil:
    cdef RecordEnd end = RecordEnd(args, fields, <int16_t> level_number, origin)
    assert_that(end.level_number == level_number)
    assert_that(level_number >= 0)
    memcpy(&header.args, &end, sizeof(RecordEnd))


cdef inline uint64_t align_record(uint64_t size) noexcept nogil:
    return (size + 7) & ~<uint64_t> 7


# Where a field's name stands, counted from `RecordView.fields`, and its hash.
cdef struct NameEntry:
    uint32_t hashed
    uint32_t at


# The fields of one record by name, made when it is worth it: see layout/field_names.pxd.
cdef struct FieldIndex:
    const RecordHeader* of # the record; NULL: none
    uint32_t lookups       # by name, in this record
    bint is_made
    uint32_t replaced      # number of fields that a later field of the same name replaces
    uint32_t mask          # of the slots in use
    uint32_t capacity      # of `entry`; there are twice as many slots
    NameEntry* entry       # one for each field, in their order
    uint16_t* slot         # number of a field, counted from 1; 0: none


# The parts of a record, found once per record by the consumer.
cdef struct RecordView:
    const RecordHeader* header
    uint64_t process       # 0: the one that logged the record
    int64_t time_ns        # since 1970: the record's own, where HAS_TIME is set
    Text name              # the logger's, where HAS_NAME is set
    uint64_t thread
    Value thread_name
    Value site_module
    Value site_function
    Value site_path
    int64_t site_line
    const char* body       # the message value, or the first argument
    const char* fields
    const char* exception
    const char* stack
    FieldIndex* index      # the renderer's, which it uses again for the next record; or NULL


cdef inline const char* skip_values(const char* at, uint32_t count) noexcept nogil:
    cdef Value value
    cdef uint32_t _
    for _ in range(count):
        at = get_value(at, &value)
    return at


# All are rare, so the others are asked once for the three.
cdef inline const char* view_origin(RecordView* view, const char* at) noexcept nogil:
    if view.header.flags & HAS_PROCESS:
        memcpy(&view.process, at, 8)
        at += 8
    if view.header.flags & HAS_TIME:
        memcpy(&view.time_ns, at, 8)
        at += 8
    if view.header.flags & HAS_NAME:
        memcpy(&view.name.size, at, 4)
        view.name.data = at + 4
        at += 4 + <uint64_t> view.name.size
    return at


cdef inline void record_view(const char* record, RecordView* view) noexcept nogil:
    cdef const RecordHeader* header = <const RecordHeader*> record
    cdef const char* at = record + sizeof(RecordHeader)
    cdef Value value
    view.header = header
    view.process = 0
    view.index = NULL
    view.thread = 0
    view.thread_name.tag = TAG_UTF8
    view.thread_name.data = b""
    view.thread_name.count = 0
    view.site_path.data = NULL
    if header.flags & (HAS_PROCESS | HAS_TIME | HAS_NAME):
        at = view_origin(view, at)
    if header.flags & HAS_THREAD:
        memcpy(&view.thread, at, 8)
        at += 8
    if header.flags & HAS_THREAD_NAME:
        at = get_value(at, &view.thread_name)
    if header.flags & HAS_SITE:
        at = get_value(at, &view.site_module)
        at = get_value(at, &view.site_function)
        at = get_value(at, &view.site_path)
        value.integer = 0
        at = get_value(at, &value)
        view.site_line = value.integer
    view.body = at
    view.fields = NULL
    view.exception = NULL
    view.stack = NULL
    if header.fields or header.flags & (HAS_EXCEPTION | HAS_STACK):
        at = skip_values(at, header.args if header.template_id else 1)
        view.fields = at
        if header.flags & (HAS_EXCEPTION | HAS_STACK):
            view_traces(view, skip_values(at, 2 * <uint32_t> header.fields))


cdef inline void view_traces(RecordView* view, const char* at) noexcept nogil:
    if view.header.flags & HAS_EXCEPTION:
        view.exception = at
        at = skip_values(at, EXCEPTION_TEXTS)
    if view.header.flags & HAS_STACK:
        view.stack = at


cdef enum:
    # Type, message, traceback, the traceback made safe ("": it is already). Instead of the traceback, bytes: the steps of
    # layout/trace.pxd.
    EXCEPTION_TEXTS = 4
    STACK_TEXTS = 2            # the stack, the stack made safe ("": it is already)
    TRACE_TEXTS = 6            # both
