# Compiles the format of a `logging` formatter, which bridge/formatters.py has parsed, to what the flusher runs.

from libc.stddef cimport wchar_t
from libc.stdint cimport int32_t, uint32_t
from libc.stdlib cimport calloc, malloc
from libc.string cimport memcpy

from logly.layout.logging_pieces cimport (
    LOGGING_ASCTIME, LOGGING_CREATED, LOGGING_ENTRIES, LOGGING_EXCEPTION, LOGGING_EXTRA, LOGGING_FIELD,
    LOGGING_FIELD_OR_TIME, LOGGING_FILENAME, LOGGING_FUNCNAME, LOGGING_LAST_KEPT, LOGGING_LEVELNAME, LOGGING_LEVELNO,
    LOGGING_LEVELPREFIX, LOGGING_LINENO, LOGGING_LITERAL, LOGGING_MESSAGE, LOGGING_MODULE, LOGGING_MSECS, LOGGING_NAME,
    LOGGING_PATHNAME, LOGGING_PROCESS, LOGGING_RELATIVECREATED, LOGGING_REQUEST_LINE, LOGGING_SECOND, LOGGING_STACK,
    LOGGING_STATUS_CODE, LOGGING_THREAD, LOGGING_THREADNAME, LOGGING_TIMESTAMP, LoggingEntry, LoggingLayout,
    LoggingLevel, LoggingPiece,
)
from logly.ring.record cimport Value
from logly.text.buffer cimport Text

# Of other included files:
#   layout/compile.pxi: ORDER, LayoutProgram, owned_key
#   text/owned_text.pxi: copy_text, parse_native_spec, utf8

# Keyed by the names of a LogRecord's attributes. "second" is the part of asctime that strftime makes.
cdef dict logging_codes = {
    "name": LOGGING_NAME, "levelname": LOGGING_LEVELNAME, "levelno": LOGGING_LEVELNO, "pathname": LOGGING_PATHNAME,
    "filename": LOGGING_FILENAME, "module": LOGGING_MODULE, "lineno": LOGGING_LINENO, "funcName": LOGGING_FUNCNAME,
    "thread": LOGGING_THREAD, "process": LOGGING_PROCESS, "threadName": LOGGING_THREADNAME, "created": LOGGING_CREATED,
    "msecs": LOGGING_MSECS, "relativeCreated": LOGGING_RELATIVECREATED, "second": LOGGING_SECOND,
    "asctime": LOGGING_ASCTIME, "message": LOGGING_MESSAGE, "levelprefix": LOGGING_LEVELPREFIX,
    "request_line": LOGGING_REQUEST_LINE, "status_code": LOGGING_STATUS_CODE,
}
# Keyed by the kinds of parts that are no attributes.
cdef dict logging_kinds = {
    "literal": LOGGING_LITERAL, "field": LOGGING_FIELD, "field_or_time": LOGGING_FIELD_OR_TIME, "extra": LOGGING_EXTRA,
    "exception": LOGGING_EXCEPTION, "stack": LOGGING_STACK, "timestamp": LOGGING_TIMESTAMP,
}


cdef bint build_logging_piece(LoggingPiece* piece, str kind, str what, str conversion, str spec, bint truncates) except -1:
    if kind != "attribute":
        piece.code = logging_kinds[kind]
    if kind == "literal" or kind == "exception" or kind == "stack":
        text = copy_text(utf8(what))
        piece.step.text = text.data
        piece.step.size = text.size
        return True
    if kind == "field" or kind == "field_or_time":
        owned_key(&piece.step.key, what)
    elif kind == "attribute":
        piece.code = logging_codes[what]
    piece.truncates = truncates
    piece.step.conversion = ord(conversion) if conversion else 0
    if spec:
        if not parse_native_spec(spec, &piece.step.spec):
            raise ValueError(f"format specification {spec!r}")
        piece.step.has_spec = True
    return True


cdef LoggingPiece* new_logging_pieces(list parts) except NULL:
    cdef LoggingPiece* piece = <LoggingPiece*> calloc(len(parts) + 1, sizeof(LoggingPiece))
    if piece == NULL:
        raise MemoryError
    return piece


# Counts as it goes, because what has been counted is freed if the next one cannot be made.
cdef bint fill_logging_pieces(LoggingPiece* piece, list parts, uint32_t* count) except -1:
    for kind, what, conversion, spec, truncates in parts:
        count[0] += 1
        build_logging_piece(&piece[count[0] - 1], kind, what, conversion, spec, truncates)
    return True


cdef bint use_missing(LoggingPiece* piece, list parts, dict missing) except -1:
    cdef uint32_t i = 0
    for kind, what, conversion, spec, _ in parts:
        text = missing.get((what, conversion, spec)) if kind == "field" else None
        if text is not None:
            piece[i].missing = copy_text(utf8(text))
        i += 1
    return True


cdef bint find_logging_runs(LoggingLayout* layout) except -1:
    cdef LoggingPiece* piece = layout.piece
    cdef uint32_t first = 0, after
    while first < layout.pieces:
        after = first
        while after < layout.pieces and piece[after].code <= LOGGING_LAST_KEPT:
            after += 1
        # A single literal needs no cache.
        if after > first + 1 or (after > first and piece[first].code != LOGGING_LITERAL):
            piece[first].kept = <LoggingEntry*> calloc(LOGGING_ENTRIES, sizeof(LoggingEntry))
            if piece[first].kept == NULL:
                raise MemoryError
            piece[first].run = after - first
        first = max(after, first + 1)
    return True


cdef bint use_strftime(LoggingLayout* layout, str format) except -1:
    """The format as the C library's wide characters."""
    cdef bytes units = (format + "\0").encode(f"utf-{8 * sizeof(wchar_t)}-{ORDER}")
    layout.time.format = <wchar_t*> malloc(len(units))
    if layout.time.format == NULL:
        raise MemoryError
    memcpy(layout.time.format, <const char*> units, len(units))
    layout.time.size = len(format)
    return True


cdef bint use_levels(LoggingLayout* layout, dict levels) except -1:
    cdef LoggingLevel* level
    layout.level = <LoggingLevel*> calloc(len(levels) + 1, sizeof(LoggingLevel))
    if layout.level == NULL:
        raise MemoryError
    for number, name in levels.items():
        level = &layout.level[layout.levels]
        layout.levels += 1
        level.number = <int32_t> number
        level.name = copy_text(utf8(name))
        level.prefix = copy_text(utf8(f"{name}:{' ' * (8 - len(name))}"))
    return True


cdef bint use_phrases(LoggingLayout* layout, dict phrases) except -1:
    layout.phrase = <LoggingLevel*> calloc(len(phrases) + 1, sizeof(LoggingLevel))
    if layout.phrase == NULL:
        raise MemoryError
    for number in phrases:
        layout.phrase[layout.phrases].number = number
        layout.phrase[layout.phrases].name = copy_text(utf8(phrases[number]))
        layout.phrases += 1
    return True


cdef bint use_json(LoggingLayout* layout, dict options) except -1:
    cdef list skipped = options["skipped"]
    cdef dict renamed = options["renamed"]
    cdef uint32_t i
    layout.is_json = True
    layout.is_ascii = options["is_ascii"]
    for i in range(layout.pieces):
        layout.piece[i].is_json = True
        layout.piece[i].is_ascii = layout.is_ascii
    layout.skipped = <Value*> calloc(len(skipped) + 1, sizeof(Value))
    layout.renamed = <Value*> calloc(len(renamed) + 1, sizeof(Value))
    layout.new_name = <Text*> calloc(len(renamed) + 1, sizeof(Text))
    if layout.skipped == NULL or layout.renamed == NULL or layout.new_name == NULL:
        raise MemoryError
    for name in skipped:
        owned_key(&layout.skipped[layout.skips], name)
        layout.skips += 1
    for name in renamed:
        owned_key(&layout.renamed[layout.renames], name)
        layout.renames += 1
        layout.new_name[layout.renames - 1] = copy_text(utf8(renamed[name]))
    return True


def logging_layout(
    list parts not None, list asctime not None, *, str strftime not None, bint utc, str terminator not None, dict levels not None,
    object start, dict missing not None, dict phrases not None, dict json
):
    """The layout of a formatter of `logging`.

    Args:
        parts: (kind, what, conversion, specification, whether a float is truncated); the kinds are "literal" (a text),
            "field" (a key of `extra`) and "attribute" (a name of `logging_codes`).
        asctime: the parts of an "asctime" that has a width or a conversion.
        strftime: the format of "second".
        utc: the times are those of Greenwich.
        terminator: what ends a line.
        levels: names by number.
        start: `logging._startTime`, seconds (float) or nanoseconds (int).
        phrases: what "status_code" shows, by the number of a response.
        json: for a formatter of python-json-logger: `is_ascii`, `skipped` (names that "extra" does not show), `renamed` (names
            of other keys, as JSON).
        missing: what a record without a field shows, by (name, conversion, specification).
    """
    cdef LayoutProgram program = LayoutProgram(
        "logging", [], newlines="keep", color=0, terminal=False, zone=utc, fields=False, exception=True,
    )
    cdef LoggingLayout* layout = <LoggingLayout*> calloc(1, sizeof(LoggingLayout))
    if layout == NULL:
        raise MemoryError
    program.layout.logging = layout
    layout.piece = new_logging_pieces(parts)
    fill_logging_pieces(layout.piece, parts, &layout.pieces)
    use_missing(layout.piece, parts, missing)
    layout.asctime = new_logging_pieces(asctime)
    fill_logging_pieces(layout.asctime, asctime, &layout.asctime_pieces)
    shown = {what for kind, what, _, _, _ in parts if kind == "attribute"}
    layout.shows_time = not shown.isdisjoint(("created", "msecs", "relativeCreated", "second", "asctime"))
    for kind, _, _, _, _ in parts:
        layout.shows_time = layout.shows_time or kind == "timestamp" or kind == "field_or_time"
    layout.shows_thread = "thread" in shown
    find_logging_runs(layout)
    use_strftime(layout, strftime)
    layout.time.utc = utc
    layout.terminator = copy_text(utf8(terminator))
    use_levels(layout, levels)
    use_phrases(layout, phrases)
    if json is not None:
        use_json(layout, json)
    layout.counts_ns = type(start) is int
    if layout.counts_ns:
        layout.start_ns = start
    else:
        layout.start_s = start
    return program
