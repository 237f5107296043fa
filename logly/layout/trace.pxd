"""An exception as a record holds it, and its text: what `traceback.format_exception` prints, byte for byte.

The caller stores what differs from exception to exception: messages, and the numbers of *places*. A place is an entry of a
traceback (a code object, an instruction in it, a line), whose text has been made once. The rest, such as headlines, the frames of
groups and "Previous line repeated", is put in here, on the flusher's thread.

The exception is a series of steps:

    TRACE_HEADLINE  code                    one of the sentences of `traceback`
    TRACE_PLACE     number, count           an entry, so many times in succession
    TRACE_LAST      class, message          the exception's own line; two values
    TRACE_TEXT      text, text made safe    lines that Python has made; two values
    TRACE_RULE      text                    a line of a group's frame, with its own margin
    TRACE_MARGIN    depth, character        before each line from here on; depth 0: none
"""

from libc.stdint cimport uint32_t, uint64_t, uint8_t
from libc.string cimport memcpy

from logly.ring.record cimport Value, get_value, text_kind
from logly.system.atomic cimport load_pointer, set_mark
from logly.text.buffer cimport Buffer, Text, buffer_append, buffer_free, buffer_init, buffer_put
from logly.text.number cimport write_uint
from logly.text.unicode cimport write_text

cdef enum TraceStep:
    TRACE_HEADLINE = 1
    TRACE_PLACE
    TRACE_LAST
    TRACE_TEXT
    TRACE_RULE
    TRACE_MARGIN
    LAST_TRACE_STEP = TRACE_MARGIN

cdef enum Headline:
    HEADLINE_TRACEBACK = 0
    HEADLINE_GROUP
    HEADLINE_CAUSE
    HEADLINE_CONTEXT
    HEADLINES

cdef enum:
    MAX_PLACES = 1 << 16       # that have a number at the same time
    SHOWN_REPEATS = 3          # of equal entries in succession; `traceback` counts the others
    MAX_DEPTH = 24             # of groups in groups


# An entry of tracebacks.
cdef struct Place:
    uint32_t id                # the number by which records name it
    uint32_t used              # a record with it has been seen since the registry last looked
    uint32_t era               # stored in all spools that there were in this era; see registry/name_entries.pxi
    uint64_t alike             # equal for entries that `traceback` takes for the same: file, line and function
    uint64_t code              # address of the code object
    uint64_t where             # the instruction in it, and the line
    Text text                  # with its line breaks
    void* watch                # the registry's object that hears of the end of the code (PyObject*, borrowed)
    Place* of_code             # the next place of the same code object
    Place* retired             # the next one that the registry gave up
    Place* older               # another one with the same place in the table, of a dead process's spool


cdef inline Place* place_of(Place** places, uint32_t number) noexcept nogil:
    cdef Place* place = load_pointer(&places[number & (MAX_PLACES - 1)])
    while place != NULL and place.id != number:
        place = place.older
    return place


cdef struct TraceWriter:
    Buffer* out
    Place** places
    bint safe                  # no text from outside may begin a line
    uint32_t margin_size
    char margin[2 * MAX_DEPTH + 2]
    bint has_place             # the entry before was a place, alike `alike`, so many times
    uint64_t alike
    uint64_t repeats


# Returns the bytes of the line break at `at`, as `str.splitlines` knows them; 0: there is none.
cdef inline size_t line_break(const char* at, const char* end) noexcept nogil:
    cdef uint8_t c = <uint8_t> at[0]
    if c == c'\r':
        return 2 if end - at > 1 and at[1] == c'\n' else 1
    if c == c'\n' or c == 0x0B or c == 0x0C or 0x1C <= c <= 0x1E:
        return 1
    if c == 0xC2 and end - at > 1 and <uint8_t> at[1] == 0x85:
        return 2
    if c == 0xE2 and end - at > 2 and <uint8_t> at[1] == 0x80 and (<uint8_t> at[2] == 0xA8 or <uint8_t> at[2] == 0xA9):
        return 3
    return 0


# Writes lines with the margin before each.
cdef inline void write_lines(TraceWriter* writer, const char* at, size_t size) noexcept nogil:
    cdef const char* end = at + size
    cdef const char* line = at
    cdef size_t length
    if writer.margin_size == 0:
        buffer_append(writer.out, at, size)
        return
    while line < end:
        at = line
        length = 0
        while at < end and length == 0:
            length = line_break(at, end)
            at += 1 if length == 0 else length
        buffer_append(writer.out, writer.margin, writer.margin_size)
        buffer_append(writer.out, line, <size_t> (at - line))
        line = at


# Has each line of `text[from:]` but the first, and but the empty ones at its end, begin with four spaces.
cdef inline void indent_breaks(Buffer* text, size_t start) noexcept nogil:
    cdef size_t end = text.size
    cdef size_t i
    cdef size_t breaks = 0
    cdef char* to
    while end > start and text.data[end - 1] == c'\n':
        end -= 1
    for i in range(start, end):
        breaks += text.data[i] == c'\n'
    if breaks == 0:
        return
    i = text.size
    for _ in range(breaks):
        buffer_append(text, b"    ", 4)
    if text.failed:
        return
    to = text.data + text.size
    while breaks:
        i -= 1
        if i < end and text.data[i] == c'\n':
            to -= 4
            memcpy(to, b"    ", 4)
            breaks -= 1
        to -= 1
        to[0] = text.data[i]


# Writes a text of the record. `is_message`: where the lines must be safe, its line breaks are followed by spaces.
cdef inline void write_record_text(
    TraceWriter* writer, const Value* front, const Value* message, bint is_message
) noexcept nogil:
    cdef Buffer text
    cdef Buffer* to = writer.out
    cdef size_t start
    if writer.margin_size:
        buffer_init(&text)
        to = &text
    start = to.size
    if front != NULL:
        write_text(to, text_kind(front.tag), front.data, front.count)
        if message.count:
            buffer_append(to, b": ", 2)
    write_text(to, text_kind(message.tag), message.data, message.count)
    if is_message and writer.safe:
        indent_breaks(to, start)
    if front != NULL:
        buffer_put(to, c'\n')
    if writer.margin_size:
        write_lines(writer, text.data, text.size)
        writer.out.failed = writer.out.failed or text.failed
        buffer_free(&text)


cdef inline void end_repeats(TraceWriter* writer) noexcept nogil:
    cdef Buffer line
    if writer.has_place and writer.repeats > SHOWN_REPEATS:
        buffer_init(&line)
        buffer_append(&line, b"  [Previous line repeated ", 26)
        write_uint(&line, writer.repeats - SHOWN_REPEATS)
        if writer.repeats - SHOWN_REPEATS > 1:
            buffer_append(&line, b" more times]\n", 13)
        else:
            buffer_append(&line, b" more time]\n", 12)
        write_lines(writer, line.data, line.size)
        writer.out.failed = writer.out.failed or line.failed
        buffer_free(&line)
    writer.has_place = False


cdef inline void write_place(TraceWriter* writer, uint32_t number, uint32_t count) noexcept nogil:
    cdef Place* place = place_of(writer.places, number)
    if place == NULL:
        return
    set_mark(&place.used)
    if not writer.has_place or writer.alike != place.alike:
        end_repeats(writer)
        writer.has_place = True
        writer.alike = place.alike
        writer.repeats = 0
    while count and writer.repeats < SHOWN_REPEATS:
        write_lines(writer, place.text.data, place.text.size)
        writer.repeats += 1
        count -= 1
    writer.repeats += count


cdef inline void write_headline(TraceWriter* writer, uint8_t code) noexcept nogil:
    if code == HEADLINE_TRACEBACK:
        write_lines(writer, b"Traceback (most recent call last):\n", 35)
    elif code == HEADLINE_GROUP:
        write_lines(writer, b"Exception Group Traceback (most recent call last):\n", 51)
    elif code == HEADLINE_CAUSE:
        write_lines(writer, b"\nThe above exception was the direct cause of the following exception:\n\n", 71)
    else:
        write_lines(writer, b"\nDuring handling of the above exception, another exception occurred:\n\n", 70)


cdef inline void set_margin(TraceWriter* writer, uint8_t depth, char character) noexcept nogil:
    cdef uint32_t i
    writer.margin_size = 0
    if depth == 0:
        return
    for i in range(2 * <uint32_t> depth):
        writer.margin[i] = c' '
    writer.margin[2 * depth] = character
    writer.margin[2 * depth + 1] = c' '
    writer.margin_size = 2 * <uint32_t> depth + 2


# Writes the steps of an exception.
cdef inline void write_steps(Buffer* out, const char* at, size_t size, Place** places, bint safe) noexcept nogil:
    cdef TraceWriter writer
    cdef const char* end = at + size
    cdef Value first, second
    cdef uint32_t number, count
    cdef uint8_t code
    writer.out = out
    writer.places = places
    writer.safe = safe
    writer.margin_size = 0
    writer.has_place = False
    while at < end:
        code = <uint8_t> at[0]
        at += 1
        if code == TRACE_PLACE:
            memcpy(&number, at, 4)
            memcpy(&count, at + 4, 4)
            at += 8
            write_place(&writer, number, count)
            continue
        end_repeats(&writer)
        if code == TRACE_HEADLINE:
            write_headline(&writer, <uint8_t> at[0])
            at += 1
        elif code == TRACE_LAST:
            at = get_value(at, &first)
            at = get_value(at, &second)
            write_record_text(&writer, &first, &second, True)
        elif code == TRACE_TEXT:
            at = get_value(at, &first)
            at = get_value(at, &second)
            write_record_text(&writer, NULL, &second if safe and second.count else &first, False)
        elif code == TRACE_RULE:
            at = get_value(at, &first)
            write_text(out, text_kind(first.tag), first.data, first.count)
        else:
            set_margin(&writer, <uint8_t> at[0], at[1])
            at += 2
    end_repeats(&writer)
