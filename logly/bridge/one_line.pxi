# One line of a layout for `logging`, rendered on the calling thread: by it a layout is compared with `logging` itself.

from cpython.object cimport PyObject
from libc.stdint cimport INT32_MAX, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from logly.caller.encode cimport ENCODED, Call, Origin, encode
from logly.layout.line cimport Level, Line, Site
from logly.layout.text_layout cimport render_line
from logly.ring.gate cimport NEED_THREAD
from logly.ring.record cimport EXCEPTION_TEXTS, OWN_NAME, STACK_TEXTS, TRACE_TEXTS, Cursor, record_view
from logly.text.buffer cimport Buffer, Text, buffer_free, buffer_init

# Of other included files:
#   caller/fields.pxi: FieldBlock
#   caller/trace_texts.pxi: exception_texts, stack_texts
#   layout/compile.pxi: LayoutProgram
#   registry/retired.pxi: Pins, all_places, unpin
#   text/owned_text.pxi: utf8

cdef enum:
    MOST_TRACE_BYTES = 1 << 26

cdef uint64_t lines_made = 0


cdef Text text_of(bytes data) noexcept:
    cdef Text text
    text.data = data
    text.size = <uint32_t> len(data)
    return text


cdef class OneRecord:
    """A record as the ring would hold it, with everything that its line refers to."""

    def __cinit__(self):
        memset(&self.site, 0, sizeof(Site))
        memset(&self.line, 0, sizeof(Line))
        memset(&self.level, 0, sizeof(Level))

    def __dealloc__(self):
        free(self.block)


cdef bint encode_one(OneRecord record, dict given, Pins* pins) except -1:
    cdef Call call
    cdef Origin origin
    cdef Cursor out
    cdef PyObject* place[4]
    cdef PyObject* traces[TRACE_TEXTS]
    cdef Py_ssize_t i
    cdef tuple exception = None
    cdef tuple stack = None
    cdef str message = given["message"]
    cdef str thread_name = given["thread_name"]
    cdef tuple site = given["site"]
    cdef FieldBlock fields = FieldBlock(given["fields"])
    cdef bytes block = fields.data
    cdef uint64_t room = 4096 + 4 * <uint64_t> (len(message) + len(thread_name)) + len(block)
    memset(&call, 0, sizeof(Call))
    memset(&origin, 0, sizeof(Origin))
    if given["exc_info"] is not None:
        exception = exception_texts(given["exc_info"], MOST_TRACE_BYTES, pins, None)
    if given["stack_info"] is not None:
        stack = stack_texts(given["stack_info"], MOST_TRACE_BYTES)
    for i in range(EXCEPTION_TEXTS):
        traces[i] = <PyObject*> exception[i] if exception is not None else NULL
        room += 4 * <uint64_t> len(exception[i]) if exception is not None else 0
    for i in range(STACK_TEXTS):
        traces[EXCEPTION_TEXTS + i] = <PyObject*> stack[i] if stack is not None else NULL
        room += 4 * <uint64_t> len(stack[i]) if stack is not None else 0
    for i in range(3):
        room += 4 * <uint64_t> len(site[i])
    if given["is_inline"]:
        for i in range(4):
            place[i] = <PyObject*> site[i]
        call.inline_site = place
    origin.thread = given["thread"]
    origin.has_time = True
    origin.time_ns = given["time_ns"]
    call.origin = &origin
    call.level_number = given["levelno"]
    call.name = given.get("origin", OWN_NAME)
    call.message = <PyObject*> message
    call.thread_name = <PyObject*> thread_name
    call.bound = block
    call.bound_size = <uint32_t> len(block)
    call.bound_fields = fields.count
    if exception is not None or stack is not None:
        call.traces = traces
    record.block = <char*> malloc(room)
    if record.block == NULL:
        raise MemoryError
    out.at = record.block
    out.end = record.block + room
    if encode(&out, &call, NEED_THREAD) != ENCODED:
        raise ValueError("the record is larger than expected")
    return True


cdef bint make_line(OneRecord record, dict given) except -1:
    global lines_made
    cdef Line* line = &record.line
    record.logger_name, record.function, record.path = utf8(given["name"]), utf8(given["site"][1]), utf8(given["site"][2])
    record.name = text_of(record.logger_name)
    record_view(record.block, &line.view)
    line.time_ns = line.logged_ns = line.view.time_ns
    line.level = &record.level
    line.name = &record.name
    line.is_named = True
    line.process = given["process"]
    line.places = all_places
    if not given["is_inline"]:
        # A number of its own for each: the layout keeps texts by it.
        lines_made += 1
        record.site.serial = line.site_serial = given.get("serial") or INT32_MAX + lines_made
        record.site.function, record.site.path = text_of(record.function), text_of(record.path)
        record.site.line = given["site"][3]
        line.site = &record.site
    return True


def logging_lines(LayoutProgram layout not None, dict given not None):
    """Twice the line that the layout makes of a record: as it is rendered, and with what the layout has kept of it.

    No flusher may be using the layout meanwhile.

    Args:
        given: `name`, `levelno`, `message`, `site` (module, function, path, line), `is_inline` (the record itself has the site),
            `time_ns`, `thread`, `thread_name`, `process`, `fields`, `exc_info` (an exception, its tuple, or None), `stack_info`
            (a text, or None); for tests, `serial` (of the site) and `origin` (the number of the name).
    """
    cdef OneRecord record = OneRecord()
    cdef Buffer out
    cdef Buffer scratch
    cdef size_t first
    cdef Pins pins = Pins(NULL, NULL, False)
    buffer_init(&out)
    buffer_init(&scratch)
    try:
        encode_one(record, given, &pins)
        make_line(record, given)
        render_line(&out, layout.layout, &record.line, &scratch)
        first = out.size
        render_line(&out, layout.layout, &record.line, &scratch)
        if out.failed:
            raise MemoryError
        return (out.data[:first] if first else b"", out.data[first : out.size] if first < out.size else b"")
    finally:
        unpin(&pins)
        buffer_free(&out)
        buffer_free(&scratch)
