"""Lines of `logging`: what `logging.Formatter.format` makes of a record, and the handler's terminator, without the GIL.

The bytes are those of `logging`. Nothing is escaped, and an exception follows as `logging` lets it follow. What cannot be
rendered exactly is refused when the layout is made (bridge/formatters.py).
"""

from libc.math cimport floor, trunc
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t, uint8_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy

from logly.layout.field_names cimport find_field
from logly.layout.line cimport Line, write_message
from logly.layout.logging_json cimport (
    write_dumps_exception, write_dumps_stack, write_dumps_value, write_other_fields, write_timestamp,
)
from logly.layout.logging_pieces cimport (
    LOGGING_ASCTIME, LOGGING_CREATED, LOGGING_EXCEPTION, LOGGING_EXTRA, LOGGING_FIELD, LOGGING_FIELD_OR_TIME,
    LOGGING_FUNCNAME, LOGGING_LEVELNAME, LOGGING_LEVELNO, LOGGING_LEVELPREFIX, LOGGING_LINENO, LOGGING_LITERAL,
    LOGGING_MESSAGE, LOGGING_MODULE, LOGGING_MSECS, LOGGING_NAME, LOGGING_PATHNAME, LOGGING_REQUEST_LINE,
    LOGGING_SECOND, LOGGING_STACK, LOGGING_STATUS_CODE, LOGGING_TEXT, LOGGING_THREAD, LOGGING_THREADNAME,
    LOGGING_TIMESTAMP, LoggingEntry, LoggingLayout, LoggingPiece,
)
from logly.layout.message cimport run_step, write_value
from logly.layout.trace cimport write_steps
from logly.ring.record cimport (
    NAME_INSIDE, TAG_BYTES, TAG_FLOAT, TAG_INT, TAG_UINT, TAG_UTF8, Value, get_value, skip_values, text_kind,
)
from logly.text.buffer cimport Buffer, buffer_append, buffer_free, buffer_init, buffer_put, buffer_reserve, buffer_text
from logly.text.civil cimport floor_divide
from logly.text.json_dumps cimport end_dumps_string
from logly.text.strftime cimport time_text_at, time_text_render
from logly.text.unicode cimport write_text

cdef extern from *:
    """
    #ifdef _WIN32
    #define LOGLY_IS_SEPARATOR(c) ((c) == '/' || (c) == '\\\\' || (c) == ':')
    #else
    #define LOGLY_IS_SEPARATOR(c) ((c) == '/')
    #endif
    """
    bint is_separator "LOGLY_IS_SEPARATOR"(char c) noexcept nogil

cdef enum:
    BILLION = 1000000000


# ---- the time, as attributes of a LogRecord

cdef struct LoggingTime:
    double created
    double msecs
    double relative
    int64_t second         # that `created` is in


# The difference as a float, rounded once: the ints of Python do not overflow.
cdef inline double ns_between(int64_t after, int64_t before) noexcept nogil:
    if after >= before:
        return <double> (<uint64_t> after - <uint64_t> before)
    return -<double> (<uint64_t> before - <uint64_t> after)


# LogRecord.__init__, and before CPython 3.13 also `time.time`, operation by operation: each rounds.
cdef inline void logging_time(LoggingTime* time, const LoggingLayout* layout, int64_t ns) noexcept nogil:
    cdef int64_t second = floor_divide(ns, BILLION)
    if layout.counts_ns:
        time.created = <double> ns / 1e9
        time.msecs = <double> ((ns - second * BILLION) // 1000000)
        if time.msecs == 999.0 and <int64_t> time.created != second:
            time.msecs = 0.0
        time.relative = ns_between(ns, layout.start_ns) / 1e6
    else:
        time.created = <double> second if second * BILLION == ns else <double> ns / 1e9
        time.msecs = trunc((time.created - trunc(time.created)) * 1000) + 0.0
        time.relative = (time.created - layout.start_s) * 1000
    time.second = <int64_t> floor(time.created)


# ---- one piece

cdef inline void write_step(Buffer* out, const LoggingPiece* piece, const Value* value) noexcept nogil:
    if piece.is_json:
        write_dumps_value(out, value, piece.is_ascii)
    else:
        run_step(out, &piece.step, value)


cdef inline void set_text(Value* value, const char* data, size_t size) noexcept nogil:
    value.tag = TAG_UTF8
    value.data = data
    value.count = <uint32_t> size


cdef inline void set_int(Value* value, int64_t number) noexcept nogil:
    value.tag = TAG_INT
    value.integer = number


cdef inline void set_float(Value* value, const LoggingPiece* piece, double number) noexcept nogil:
    if piece.truncates:
        set_int(value, <int64_t> number)
    else:
        value.tag = TAG_FLOAT
        value.real = number


cdef inline bint is_plain(const LoggingPiece* piece) noexcept nogil:
    return not piece.step.has_spec and not piece.step.conversion and not piece.is_json


# os.path.basename, and os.path.splitext of it: a name that begins with dots keeps them.
cdef inline void set_file_part(Value* value, uint8_t code, const char* path, size_t size) noexcept nogil:
    cdef size_t start = size
    cdef size_t stem, first
    if code == LOGGING_PATHNAME:
        set_text(value, path, size)
        return
    while start > 0 and not is_separator(path[start - 1]):
        start -= 1
    if code == LOGGING_MODULE:
        first = start
        while first < size and path[first] == c'.':
            first += 1
        stem = size
        while stem > first and path[stem - 1] != c'.':
            stem -= 1
        if stem > first:
            size = stem - 1
    set_text(value, path + start, size - start)


cdef inline void write_file_part(Buffer* out, const LoggingPiece* piece, const Line* line) noexcept nogil:
    cdef Buffer path
    cdef Value value
    if line.site != NULL:
        set_file_part(&value, piece.code, line.site.path.data, line.site.path.size)
        write_step(out, piece, &value)
    elif line.view.site_path.data == NULL:
        set_text(&value, b"(unknown file)", 14)  # what `Logger.findCaller` says
        write_step(out, piece, &value)
    else:
        buffer_init(&path)
        write_text(&path, text_kind(line.view.site_path.tag), line.view.site_path.data, line.view.site_path.count)
        set_file_part(&value, piece.code, path.data, path.size)
        write_step(out, piece, &value)
        out.failed = out.failed or path.failed
        buffer_free(&path)


cdef inline void set_function(Value* value, const Line* line) noexcept nogil:
    if line.site != NULL:
        set_text(value, line.site.function.data, line.site.function.size)
    elif line.view.site_path.data == NULL:
        set_text(value, b"(unknown function)", 18)
    else:
        value[0] = line.view.site_function


cdef inline int64_t line_number_of(const Line* line) noexcept nogil:
    if line.site != NULL:
        return line.site.line
    return line.view.site_line if line.view.site_path.data != NULL else 0


# logging.getLevelName
cdef inline void write_level_name(
    Buffer* out, const LoggingPiece* piece, const LoggingLayout* layout, int32_t number
) noexcept nogil:
    cdef char other[32]
    cdef Value value
    cdef uint32_t i = 0
    while i < layout.levels and layout.level[i].number != number:
        i += 1
    if i < layout.levels:
        set_text(&value, layout.level[i].name.data, layout.level[i].name.size)
    else:
        set_text(&value, other, snprintf(other, sizeof(other), "Level %d", number))
    write_step(out, piece, &value)


# uvicorn's "levelprefix".
cdef inline void write_level_prefix(
    Buffer* out, const LoggingPiece* piece, const LoggingLayout* layout, int32_t number
) noexcept nogil:
    cdef char other[48]
    cdef Value value
    cdef uint32_t i = 0
    while i < layout.levels and layout.level[i].number != number:
        i += 1
    if i < layout.levels:
        set_text(&value, layout.level[i].prefix.data, layout.level[i].prefix.size)
    else:
        set_text(&value, other, snprintf(other, sizeof(other), "Level %d:%s", number, " " if number < 10 else ""))
    write_step(out, piece, &value)


# ---- uvicorn's access log, whose arguments are fields

cdef inline void find_access(const Line* line, const char* name, Value* value) noexcept nogil:
    cdef Value key
    set_text(&key, name, 9)
    if not find_field(&line.view, &key, value):
        set_text(value, b"", 0)


cdef inline void write_request_line(Buffer* out, const LoggingPiece* piece, const Line* line) noexcept nogil:
    cdef Buffer text
    cdef Value value
    buffer_init(&text)
    find_access(line, b"uvicorn.1", &value)
    write_value(&text, &value)
    buffer_put(&text, c' ')
    find_access(line, b"uvicorn.2", &value)
    write_value(&text, &value)
    buffer_append(&text, b" HTTP/", 6)
    find_access(line, b"uvicorn.3", &value)
    write_value(&text, &value)
    set_text(&value, text.data, text.size)
    write_step(out, piece, &value)
    out.failed = out.failed or text.failed
    buffer_free(&text)


cdef inline void write_status(
    Buffer* out, const LoggingPiece* piece, const LoggingLayout* layout, const Line* line
) noexcept nogil:
    cdef char other[32]
    cdef Value value
    cdef int64_t number
    cdef uint32_t i = 0
    find_access(line, b"uvicorn.4", &value)
    number = value.integer
    while i < layout.phrases and layout.phrase[i].number != number:
        i += 1
    if i < layout.phrases:
        set_text(&value, layout.phrase[i].name.data, layout.phrase[i].name.size)
    else:
        set_text(&value, other, snprintf(other, sizeof(other), "%lld ", <long long> number))
    write_step(out, piece, &value)


cdef inline void write_composed_text(
    Buffer* out, const LoggingPiece* piece, LoggingLayout* layout, const Line* line, const LoggingTime* time
) noexcept nogil:
    cdef uint32_t i
    if piece.code == LOGGING_MESSAGE:
        write_message(out, line)
    else:
        for i in range(layout.asctime_pieces):
            write_time_piece(out, &layout.asctime[i], layout, time)


# The message, or asctime, as a text that is then formatted.
cdef inline void write_composed(
    Buffer* out, const LoggingPiece* piece, LoggingLayout* layout, const Line* line, const LoggingTime* time
) noexcept nogil:
    cdef Buffer text
    cdef Value value
    cdef size_t start
    if piece.is_json:
        buffer_put(out, c'"')
        start = out.size
        write_composed_text(out, piece, layout, line, time)
        end_dumps_string(out, start, piece.is_ascii)
        return
    buffer_init(&text)
    write_composed_text(&text, piece, layout, line, time)
    set_text(&value, text.data, text.size)
    write_step(out, piece, &value)
    out.failed = out.failed or text.failed
    buffer_free(&text)


# "%03d", as in every asctime.
cdef inline bint write_three_digits(Buffer* out, const LoggingPiece* piece, double msecs) noexcept nogil:
    cdef uint32_t number
    if not (piece.truncates and piece.step.spec.width == 3 and piece.step.spec.zero and 0 <= msecs <= 999):
        return False
    if piece.step.spec.sign or piece.step.spec.align:
        return False
    if buffer_reserve(out, 3):
        number = <uint32_t> msecs
        out.data[out.size] = <char> (c'0' + number // 100)
        out.data[out.size + 1] = <char> (c'0' + number // 10 % 10)
        out.data[out.size + 2] = <char> (c'0' + number % 10)
        out.size += 3
    return True


cdef inline void write_time_piece(
    Buffer* out, const LoggingPiece* piece, LoggingLayout* layout, const LoggingTime* time
) noexcept nogil:
    cdef const Buffer* text
    cdef Value value
    if piece.code == LOGGING_LITERAL:
        buffer_append(out, piece.step.text, piece.step.size)
        return
    if piece.code == LOGGING_SECOND:
        if is_plain(piece):
            time_text_render(&layout.time, out, time.second)
            return
        text = time_text_at(&layout.time, time.second)
        out.failed = out.failed or text.failed
        set_text(&value, text.data, text.size)
    elif piece.code == LOGGING_MSECS:
        if write_three_digits(out, piece, time.msecs):
            return
        set_float(&value, piece, time.msecs)
    elif piece.code == LOGGING_CREATED:
        set_float(&value, piece, time.created)
    else:
        set_float(&value, piece, time.relative)
    write_step(out, piece, &value)


cdef inline void write_kept_piece(
    Buffer* out, const LoggingPiece* piece, const LoggingLayout* layout, const Line* line
) noexcept nogil:
    cdef Value value
    cdef uint8_t code = piece.code
    if code == LOGGING_LITERAL:
        buffer_append(out, piece.step.text, piece.step.size)
        return
    if code == LOGGING_LEVELNAME:
        write_level_name(out, piece, layout, line.view.header.level_number)
        return
    if code == LOGGING_LEVELPREFIX:
        write_level_prefix(out, piece, layout, line.view.header.level_number)
        return
    if LOGGING_PATHNAME <= code <= LOGGING_MODULE:
        write_file_part(out, piece, line)
        return
    if code == LOGGING_NAME:
        set_text(&value, line.name.data, line.name.size)
    elif code == LOGGING_LEVELNO:
        set_int(&value, line.view.header.level_number)
    elif code == LOGGING_LINENO:
        set_int(&value, line_number_of(line))
    elif code == LOGGING_FUNCNAME:
        set_function(&value, line)
    elif code == LOGGING_THREAD:
        value.tag = TAG_UINT
        value.integer = <int64_t> line.view.thread
    else:
        set_int(&value, <int64_t> line.process)
    write_step(out, piece, &value)


cdef inline void write_logging_piece(
    Buffer* out, const LoggingPiece* piece, LoggingLayout* layout, const Line* line, const LoggingTime* time
) noexcept nogil:
    cdef Value value
    cdef uint8_t code = piece.code
    if code == LOGGING_MESSAGE and is_plain(piece):
        write_message(out, line)
    elif code == LOGGING_MESSAGE or code == LOGGING_ASCTIME:
        write_composed(out, piece, layout, line, time)
    elif code == LOGGING_THREADNAME:
        write_step(out, piece, &line.view.thread_name)
    elif code < LOGGING_FIELD:
        write_time_piece(out, piece, layout, time)
    elif code > LOGGING_FIELD_OR_TIME:
        write_special_piece(out, piece, layout, line, time)
    elif find_field(&line.view, &piece.step.key, &value):
        write_step(out, piece, &value)
    elif code == LOGGING_FIELD_OR_TIME:
        write_composed(out, piece, layout, line, time)
    else:
        buffer_text(out, &piece.missing)


# What formatters of other packages show.
cdef inline void write_special_piece(
    Buffer* out, const LoggingPiece* piece, LoggingLayout* layout, const Line* line, const LoggingTime* time
) noexcept nogil:
    cdef uint8_t code = piece.code
    if code == LOGGING_REQUEST_LINE:
        write_request_line(out, piece, line)
    elif code == LOGGING_STATUS_CODE:
        write_status(out, piece, layout, line)
    elif code == LOGGING_EXTRA:
        write_other_fields(out, layout, line)
    elif code == LOGGING_TIMESTAMP:
        write_timestamp(out, time.created)
    elif code == LOGGING_EXCEPTION and line.view.exception != NULL:
        buffer_append(out, piece.step.text, piece.step.size)
        write_dumps_exception(out, layout, line)
    elif code == LOGGING_STACK and line.view.stack != NULL:
        buffer_append(out, piece.step.text, piece.step.size)
        write_dumps_stack(out, layout, line)


# ---- runs of pieces that are the same for every record of one thread, call site, level and logger

cdef inline void write_logging_run(
    Buffer* out, const LoggingPiece* first, const LoggingLayout* layout, const Line* line
) noexcept nogil:
    cdef LoggingEntry* entry
    cdef uint64_t thread = line.view.thread if layout.shows_thread else 0
    cdef int32_t level = line.view.header.level_number
    cdef size_t start = out.size
    cdef uint64_t mixed = line.site_serial ^ thread >> 12 ^ thread
    # A site or a name that the record itself contains cannot be part of the key.
    cdef bint has_key = line.view.site_path.data == NULL and line.view.header.origin != NAME_INSIDE
    cdef uint32_t i
    mixed ^= <uint64_t> line.view.header.origin << 8 ^ <uint64_t> level << 24
    entry = &first.kept[(mixed * 0x9E3779B97F4A7C15u) >> 59]
    if (
        has_key and entry.size and entry.site == line.site_serial and entry.thread == thread and entry.level == level
        and entry.process == line.process and entry.origin == line.view.header.origin
    ):
        # Room for a whole entry is reserved, because a copy of a fixed size is a few vector moves.
        if buffer_reserve(out, LOGGING_TEXT):
            memcpy(out.data + out.size, entry.text, LOGGING_TEXT)
            out.size += entry.size
        return
    for i in range(first.run):
        write_kept_piece(out, first + i, layout, line)
    if not has_key or out.failed or out.size - start > LOGGING_TEXT:
        return
    entry.site = line.site_serial
    entry.thread = thread
    entry.level = level
    entry.process = line.process
    entry.origin = line.view.header.origin
    entry.size = <uint16_t> (out.size - start)
    memcpy(entry.text, out.data + start, entry.size)


# ---- the end of a line

# `logging` begins a new line for an exception and for a stack, unless one has just begun.
cdef inline void begin_line(Buffer* out, size_t start) noexcept nogil:
    if out.size == start or out.data[out.size - 1] != c'\n':
        buffer_put(out, c'\n')


cdef inline void write_logged_exception(Buffer* out, const Line* line, size_t start) noexcept nogil:
    cdef const char* at = skip_values(line.view.exception, 2)
    cdef Value text
    cdef size_t before
    begin_line(out, start)
    before = out.size
    get_value(at, &text)
    if text.tag == TAG_BYTES:
        write_steps(out, text.data, text.count, line.places, False)
    else:
        write_text(out, text_kind(text.tag), text.data, text.count)
    # `formatException` takes one line break away, and leaves those of an exception's message.
    if out.size > before and out.data[out.size - 1] == c'\n':
        out.size -= 1


cdef inline void write_logged_stack(Buffer* out, const Line* line, size_t start) noexcept nogil:
    cdef Value text
    begin_line(out, start)
    get_value(line.view.stack, &text)
    write_text(out, text_kind(text.tag), text.data, text.count)


cdef inline void render_logging(Buffer* out, LoggingLayout* layout, const Line* line) noexcept nogil:
    cdef LoggingTime time
    cdef size_t start = out.size
    cdef uint32_t i = 0
    if layout.shows_time:
        logging_time(&time, layout, line.time_ns)
    while i < layout.pieces:
        if layout.piece[i].run:
            write_logging_run(out, &layout.piece[i], layout, line)
            i += layout.piece[i].run
        elif layout.piece[i].code == LOGGING_LITERAL:
            buffer_append(out, layout.piece[i].step.text, layout.piece[i].step.size)
            i += 1
        else:
            write_logging_piece(out, &layout.piece[i], layout, line, &time)
            i += 1
    if line.view.exception != NULL and not layout.is_json:
        write_logged_exception(out, line, start)
    if line.view.stack != NULL and not layout.is_json:
        write_logged_stack(out, line, start)
    buffer_text(out, &layout.terminator)
