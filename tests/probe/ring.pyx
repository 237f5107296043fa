"""Test-only extension: a window onto the ring, the records and the buffers of the header-only data path."""

from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from logly.system.crc32c cimport crc32c, crc32c_by_tables
from logly.text.buffer cimport Buffer, buffer_append, buffer_free, buffer_init
from logly.caller.encode cimport (
    ENCODED,
    NO_ROOM,
    NOT_NATIVE,
    Call,
    Origin,
    ToWrite,
    encode,
    encode_in_place,
    finish_record,
    put_value,
)
from logly.ring.gate cimport NEED_THREAD
from logly.ring.record cimport (
    HAS_EXCEPTION,
    HAS_PROCESS,
    HAS_SITE,
    HAS_THREAD_NAME,
    HAS_TIME,
    KNOWN_FLAGS,
    TAG_BYTES,
    TAG_FALSE,
    TAG_FLOAT,
    TAG_INT,
    TAG_NONE,
    TAG_TRUE,
    TAG_UINT,
    TAG_UTF8,
    Cursor,
    RecordHeader,
    RecordView,
    Value,
    get_value,
    record_view,
    unit_size,
)
from logly.ring.ring cimport (
    RECORD_INLINE,
    RecordPrefix,
    Ring as CRing,
    ring_commit,
    ring_consume,
    ring_free,
    ring_max_inline,
    ring_new,
    ring_peek,
    ring_release,
    ring_reserve,
    ring_used,
    ring_window,
)


def crc32c_of(bytes data, uint32_t before=0):
    """By the processor's instruction (where it has one), and by tables."""
    return crc32c(before, <const char*> data, len(data)), crc32c_by_tables(before, <const char*> data, len(data))


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


cdef uint64_t rounded(uint64_t size) noexcept nogil:
    return (size + 7) & ~<uint64_t> 7


cdef class Ring:
    """One ring; what is pushed is a prefix of 8 bytes and the payload, padded to a multiple of 8."""
    cdef CRing* ring
    cdef uint64_t reserved

    def __cinit__(self, uint64_t capacity, uint64_t start=0):
        self.ring = ring_new(capacity, start)
        if self.ring == NULL:
            raise MemoryError

    def __dealloc__(self):
        if self.ring != NULL:
            ring_free(self.ring)

    def reserve(self, uint64_t size):
        """Offset of the place, or None; nothing is visible before `commit`."""
        cdef char* place = ring_reserve(self.ring, size)
        if place == NULL:
            return None
        memset(place, 0xEE, size)
        return place - self.ring.data

    def push(self, bytes payload):
        """False: no room."""
        cdef uint64_t size = rounded(8 + len(payload))
        cdef char* place = ring_reserve(self.ring, size)
        cdef RecordPrefix* prefix = <RecordPrefix*> place
        if place == NULL:
            return False
        prefix.size = <uint32_t> size
        prefix.kind = RECORD_INLINE
        prefix.level = <uint8_t> (size - 8 - len(payload))
        memcpy(place + 8, <const char*> payload, len(payload))
        ring_commit(self.ring, size, False)
        return True

    def peek(self):
        cdef char* record = ring_peek(self.ring)
        if record == NULL:
            return None
        return record[8 : (<RecordPrefix*> record).size - (<RecordPrefix*> record).level]

    def consume(self):
        """The earliest record's payload, or None. Its bytes are the producer's again after `release`."""
        payload = self.peek()
        if payload is not None:
            ring_consume(self.ring, (<RecordPrefix*> ring_peek(self.ring)).size)
        return payload

    def release(self):
        ring_release(self.ring)

    @property
    def window(self):
        """(offset, contiguous bytes) that the fast way may write without looking at the consumer."""
        cdef uint64_t room
        cdef char* place = ring_window(self.ring, &room)
        return (place - self.ring.data, room)

    @property
    def used(self):
        return ring_used(self.ring)

    @property
    def max_inline(self):
        return ring_max_inline(self.ring)

    @property
    def committed(self):
        return self.ring.committed

    @property
    def positions(self):
        """(head, tail), as published."""
        return (self.ring.positions.head, self.ring.positions.tail)

    def produce_numbers(self, uint64_t count):
        """A producer's thread, GIL released: records of changing size that hold their number again and again."""
        cdef uint64_t i, words, j
        cdef uint64_t* place
        with nogil:
            for i in range(count):
                words = 1 + (i * 7919) % 9
                place = NULL
                while place == NULL:
                    place = <uint64_t*> ring_reserve(self.ring, 8 * (words + 1))
                memset(place, 0, 8)
                (<RecordPrefix*> place).size = <uint32_t> (8 * (words + 1))
                (<RecordPrefix*> place).kind = RECORD_INLINE
                for j in range(words):
                    place[1 + j] = i
                ring_commit(self.ring, 8 * (words + 1), False)

    def consume_numbers(self, uint64_t count):
        """A consumer's thread, GIL released. The number of the first record that is wrong, or None."""
        cdef uint64_t i, j, words
        cdef uint64_t* record
        cdef bint right = True
        with nogil:
            for i in range(count):
                record = NULL
                while record == NULL:
                    record = <uint64_t*> ring_peek(self.ring)
                    if record == NULL:
                        ring_release(self.ring)
                words = 1 + (i * 7919) % 9
                right = (<RecordPrefix*> record).size == 8 * (words + 1)
                for j in range(words):
                    right = right and record[1 + j] == i
                if not right:
                    break
                ring_consume(self.ring, 8 * (words + 1))
                if i % 3 == 0:
                    ring_release(self.ring)
            ring_release(self.ring)
        return None if right else i

    def encode_in_place(self, str message, uint64_t limit=0x7FFFFFFF):
        """'encoded', 'no room': the fast way of a call that has no arguments."""
        cdef Call call
        memset(&call, 0, sizeof(Call))
        call.message = <PyObject*> message
        return STATUS[encode_in_place(self.ring, &call, 0, limit, <ToWrite> 0)]

    def consume_message(self):
        cdef char* record = ring_peek(self.ring)
        cdef RecordView view
        if record == NULL:
            return None
        record_view(record, &view)
        message = read_value(&view.body)
        ring_consume(self.ring, view.header.size)
        return message


STATUS = {ENCODED: "encoded", NO_ROOM: "no room", NOT_NATIVE: "not native"}


ENCODINGS = {1: "latin-1", 4: "utf-32-le"}


cdef object read_value(const char** at):
    """The value at `at`, which moves on behind it."""
    cdef Value value
    cdef uint8_t tag
    cdef bytes data
    at[0] = get_value(at[0], &value)
    tag = value.tag
    if tag == TAG_NONE:
        return None
    if tag == TAG_TRUE or tag == TAG_FALSE:
        return tag == TAG_TRUE
    if tag == TAG_INT:
        return value.integer
    if tag == TAG_UINT:
        return <uint64_t> value.integer
    if tag == TAG_FLOAT:
        return value.real
    data = value.data[: value.count * unit_size(tag)]
    if tag == TAG_BYTES:
        return data
    if tag == TAG_UTF8:
        return data.decode("ascii")
    if unit_size(tag) == 2:
        # By units: the decoder of UTF-16 makes one character of two surrogates that stand side by side.
        return "".join(map(chr, memoryview(data).cast("H")))
    return data.decode(ENCODINGS[unit_size(tag)], "surrogatepass")


def value_roundtrip(value, size_t room):
    """(kind, value read back, bytes used); kind 0: not native, -1: more than `room` bytes. What is behind is untouched."""
    cdef char* block = <char*> malloc(room + 16)
    cdef const char* at = block
    cdef Cursor out
    cdef int kind
    memset(block, 0x5A, room + 16)
    out.at = block
    out.end = block + room
    kind = put_value(&out, <PyObject*> value)
    try:
        if block[room : room + 16] != b"\x5a" * 16:
            raise AssertionError("written past the end")
        if kind <= 0:
            return (kind, None, 0)
        read = read_value(&at)
        if at != <const char*> out.at:
            raise AssertionError("the reader ends elsewhere than the writer")
        return (kind, read, out.at - block)
    finally:
        free(block)


HEADER_BYTES = sizeof(RecordHeader)


def record_roundtrip(
    str message, dict fields, tuple site, str thread_name, tuple exception, int level_number=0, uint64_t process=0, time_ns=None,
):
    """A record with all parts, read back by the consumer's view.

    (message, fields, site, thread name, exception, level's number, process, time, thread)
    """
    cdef Call call
    cdef Origin origin
    cdef PyObject* values[64]
    cdef PyObject* place[4]
    cdef PyObject* error[6]
    cdef char block[16384]
    cdef Cursor out
    cdef RecordView view
    cdef Py_ssize_t i
    cdef tuple names = tuple(fields)
    cdef tuple own = tuple(fields.values())
    memset(&call, 0, sizeof(Call))
    call.message = <PyObject*> message
    if names:
        call.names = <PyObject*> names
        for i in range(len(own)):
            values[i] = <PyObject*> own[i]
        call.values = values
    if site is not None:
        for i in range(4):
            place[i] = <PyObject*> site[i]
        call.inline_site = place
    if thread_name is not None:
        call.thread_name = <PyObject*> thread_name
    if exception is not None:
        for i in range(4):
            error[i] = <PyObject*> exception[i]
        error[4] = NULL  # no stack
        call.traces = error
    call.level_number = level_number
    call.site = 7
    call.level = 3
    memset(&origin, 0, sizeof(Origin))
    origin.process = process
    origin.thread = 77
    if time_ns is not None:
        origin.has_time = True
        origin.time_ns = time_ns
    call.origin = &origin
    memset(block, 0xEE, sizeof(block))
    out.at = block
    out.end = block + sizeof(block)
    if encode(&out, &call, NEED_THREAD) != ENCODED:
        raise AssertionError("not encoded")
    if finish_record(block, &out) % 8:
        raise AssertionError("not aligned")
    record_view(block, &view)
    if (view.header.template_id, view.header.site, view.header.args, view.header.level) != (0, 7, 0, 3):
        raise AssertionError("the header's numbers have changed")
    if view.header.origin or view.header.flags & ~<uint32_t> KNOWN_FLAGS or view.header.kind != RECORD_INLINE:
        raise AssertionError("the header says what nobody wrote")
    if (view.header.flags & HAS_PROCESS != 0) != (process != 0):
        raise AssertionError("a process is told of, or is not")
    found = view_objects(&view)
    # Where there is less room, the record is refused, and nothing is written behind the room.
    for i in range(out.at - block):
        memset(block, 0xEE, sizeof(block))
        out.at = block
        out.end = block + i
        if encode(&out, &call, NEED_THREAD) != NO_ROOM:
            raise AssertionError("encoded without room")
        if block[i : i + 64] != b"\xee" * 64:
            raise AssertionError("written behind the room")
    return found


cdef tuple view_objects(RecordView* view):
    cdef const RecordHeader* header = view.header
    cdef dict fields = {}
    cdef object site = None
    cdef object exception = None
    cdef object name = None
    cdef object message = read_value(&view.body)
    cdef int _
    for _ in range(header.fields):
        key = read_value(&view.fields)
        fields[key] = read_value(&view.fields)
    if header.flags & HAS_SITE:
        site = (
            text_of(&view.site_module), text_of(&view.site_function), text_of(&view.site_path), view.site_line,
        )
    if header.flags & HAS_EXCEPTION:
        kind = read_value(&view.exception)
        text = read_value(&view.exception)
        stack = read_value(&view.exception)
        exception = (kind, text, stack, read_value(&view.exception))
    if header.flags & HAS_THREAD_NAME:
        name = text_of(&view.thread_name)
    time_ns = view.time_ns if header.flags & HAS_TIME else None
    return (message, fields, site, name, exception, header.level_number, view.process, time_ns, view.thread)


cdef str text_of(const Value* value):
    # A value's payload follows its tag and count.
    cdef const char* at = value.data - 5
    return read_value(&at)
