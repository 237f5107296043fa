"""What a line is made of: the layout of a sink, and the record with everything that it refers to.

The layouts themselves are in layout/text_layout.pxd, layout/json.pxd and layout/logfmt.pxd.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t, uint8_t

from logly.layout.field_names cimport hash_bytes
from logly.layout.json_pieces cimport JsonLayout
from logly.layout.logging_pieces cimport LoggingLayout
from logly.layout.message cimport Program, render_message
from logly.layout.run_entry cimport RunEntry
from logly.layout.trace cimport Place, write_steps
from logly.layout.wire_layout cimport WireLayout
from logly.ring.record cimport HAS_EXCEPTION, HAS_STACK, TAG_BYTES, RecordView, Value, get_value, skip_values, text_kind
from logly.system.atomic cimport load_pointer
from logly.text.buffer cimport Buffer, Text, buffer_append, buffer_put
from logly.text.format_spec cimport FormatSpec
from logly.text.time_pattern cimport TimePattern
from logly.text.unicode cimport write_text

cdef enum:
    MAX_LEVELS = 256
    MAX_SITES = 1 << 16    # that have a number at the same time

cdef enum PieceCode:
    PIECE_LITERAL = 0
    PIECE_TIME
    PIECE_LEVEL
    PIECE_MESSAGE
    PIECE_NAME
    PIECE_MODULE
    PIECE_FUNCTION
    PIECE_FILENAME
    PIECE_PATH
    PIECE_LINENO
    PIECE_THREAD
    PIECE_THREAD_NAME
    PIECE_PROCESS
    PIECE_EXCEPTION
    PIECE_FIELDS
    PIECE_FIELD
    PIECE_JSON             # another piece's text, escaped for a JSON string: Piece.inner

cdef enum LayoutKind:
    LAYOUT_TEXT = 0
    LAYOUT_JSON
    LAYOUT_LOGFMT
    LAYOUT_LOGGING         # of a formatter of `logging`
    LAYOUT_SYSLOG
    LAYOUT_JOURNALD

cdef enum Newlines:
    NEWLINES_ESCAPE = 0    # one record is one line, whatever it contains
    NEWLINES_INDENT        # continuation lines are indented, so that they cannot look like a record
    NEWLINES_KEEP

cdef enum Colouring:
    COLOR_NONE = 0
    COLOR_LEVEL            # the {level} piece
    COLOR_LINE             # the whole line


cdef struct Level:
    int32_t number
    uint32_t version       # changes with the name and the color
    Text name
    Text lower             # the name in lower case
    Text color             # SGR sequence, or empty


# A call site: a place in the user's source that logs.
cdef struct Site:
    uint32_t id            # the number by which records name it
    int32_t line
    uint64_t globals_key   # `namespace_key` of the module's globals; 0: only their `__name__` identifies them
    uint64_t decision      # from which level on the module logs: see `decision_word` in ring/gate.pxd
    Site* next             # the site of the same instruction, run as code of another module
    uint64_t serial        # no other site of this process ever has it
    uint64_t alike         # see `hash_of_site`
    uint32_t used          # a record with it has been seen since the registry last looked
    uint32_t pins          # calls on the careful way that are about to use it
    Text module
    Text function
    Text path
    Text filename
    bint is_odd            # a name or path has control characters
    void* watch            # the registry's object that hears of the end of the code (PyObject*, borrowed)
    uint64_t code          # address of the code object, and the instruction in it
    uint64_t instruction
    void* name             # PyObject*, owned: the str that is `__name__` in these globals; NULL: none
    Site* of_code          # the next site of the same code object
    Site* retired          # the next one that the registry gave up
    Site* older            # another one at the same place, of a dead process's spool


# Equal for sites with the same module, function, path (as UTF-8) and line. It is never 0.
cdef inline uint64_t hash_of_site(Text module, Text function, Text path, int64_t line) noexcept nogil:
    cdef uint64_t names = <uint64_t> hash_bytes(module.data, module.size) << 32 | hash_bytes(function.data, function.size)
    cdef uint64_t place = <uint64_t> hash_bytes(path.data, path.size) << 32 | <uint32_t> line
    return (names * 0x9E3779B97F4A7C15ull ^ place) | 1


# Returns the call site that has this number, or NULL.
cdef inline Site* site_of(Site** sites, uint32_t number) noexcept nogil:
    cdef Site* site = load_pointer(&sites[number & (MAX_SITES - 1)])
    while site != NULL and site.id != number:
        site = site.older
    return site


# How a part of a line looks on a terminal: see layout/styles.py.
cdef struct Style:
    Text sequence          # SGR, or empty; owned
    bint is_level          # the level's color follows
    bint is_severity       # bold from INFO on, and the level's color from WARNING on


cdef struct Piece:
    uint8_t code
    uint8_t inner          # PIECE_JSON: the code of the piece
    uint32_t run           # number of pieces in the run that begins here; 0: no run begins here
    RunEntry* kept         # RUN_ENTRIES entries where a run begins
    bint has_spec
    bint has_style         # perhaps an empty one: {level} has it and not the level's color then
    bint begins_style      # what comes before it has another style
    bint ends_style        # what comes after it has another style
    Style style
    bint is_filled         # PIECE_FIELD: some record had the field. Set while rendering; a layout that never sees one is told of
    FormatSpec spec
    uint32_t accepts       # PIECE_FIELD: kinds of value that the specification is for
    Value key              # PIECE_FIELD: the field's name
    Text text              # PIECE_LITERAL
    TimePattern* time


cdef struct Layout:
    uint8_t kind
    uint8_t newlines
    uint8_t color
    bint terminal          # escape what a terminal would obey, even with NEWLINES_KEEP
    int zone               # of text; see text/zones.pxd
    bint ends_with_fields  # the default layout: " | key=value" for each field
    bint ends_with_exception
    bint has_part_styles   # the console's: of the fields and the traceback that end the line
    Style separator_style
    Style key_style
    Style value_style
    Style file_style
    Style mark_style
    Style error_style
    uint32_t pieces
    Piece* piece
    TimePattern* stamp     # JSON's and logfmt's time stamp
    JsonLayout* json       # JSON: the members of an object; else NULL
    LoggingLayout* logging # LAYOUT_LOGGING: all that such a layout is made of; else NULL
    WireLayout* wire       # LAYOUT_SYSLOG, LAYOUT_JOURNALD: their settings; else NULL


# All that a line is made from.
cdef struct Line:
    RecordView view
    int64_t logged_ns      # time of the call, since 1970: it decides the order of records and the period of a file
    int64_t time_ns        # the time that is shown: the record's own where it has one
    const Level* level
    const Site* site       # NULL: unknown
    uint64_t site_serial   # 0: unknown
    const Program* program # NULL: the message is text
    Place** places         # by number
    const Text* name       # the logger's
    bint is_named          # it has been given; else it is only shown where a layout asks for it
    uint64_t process
    const Buffer* message  # the rendered message, or NULL: not rendered yet


cdef inline void write_message(Buffer* out, const Line* line) noexcept nogil:
    if line.message != NULL:
        buffer_append(out, line.message.data, line.message.size)
    else:
        render_message(out, line.program, &line.view)


cdef inline const char* base_name(const char* path, uint32_t size, uint32_t* length) noexcept nogil:
    cdef uint32_t start = size
    while start > 0 and path[start - 1] != c'/' and path[start - 1] != c'\\':
        start -= 1
    length[0] = size - start
    return path + start


# Is it known where the record is from? It is not of a line of logly's own.
cdef inline bint has_site(const Line* line) noexcept nogil:
    return line.site != NULL or line.view.site_path.data != NULL


cdef inline bint has_trace(const RecordView* view) noexcept nogil:
    return view.header.flags & (HAS_EXCEPTION | HAS_STACK) != 0


# Writes the traceback and the stack of the call, as `logging` does: each of them where there is one.
cdef inline void write_traces(Buffer* out, const Line* line, bint safe) noexcept nogil:
    if line.view.exception != NULL:
        write_exception(out, line, safe)
    if line.view.exception != NULL and line.view.stack != NULL:
        buffer_put(out, c'\n')
    if line.view.stack != NULL:
        write_trace(out, line.view.stack, safe)


cdef inline void write_exception(Buffer* out, const Line* line, bint safe) noexcept nogil:
    cdef const char* at = skip_values(line.view.exception, 2)
    cdef Value steps
    get_value(at, &steps)
    if steps.tag != TAG_BYTES:
        write_trace(out, at, safe)
        return
    write_steps(out, steps.data, steps.count, line.places, safe)
    trim_newlines(out)


# Writes a traceback or a stack. `safe`: everything in it that is not Python's own is indented, so that no line can look like a
# record. The record contains that text only where it differs.
cdef inline void write_trace(Buffer* out, const char* at, bint safe) noexcept nogil:
    cdef Value stack, indented
    at = get_value(at, &stack)
    get_value(at, &indented)
    if safe and indented.count:
        stack = indented
    write_text(out, text_kind(stack.tag), stack.data, stack.count)
    trim_newlines(out)


cdef inline void trim_newlines(Buffer* out) noexcept nogil:
    while out.size and out.data[out.size - 1] == c'\n':
        out.size -= 1
