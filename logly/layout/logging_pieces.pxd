"""What a layout for lines of `logging` is made of: the pieces of a format of `logging.Formatter`, and what they show.

layout/logging_compile.pxi builds it from what bridge/formatters.py has parsed, layout/logging_layout.pxd renders it.
"""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t, uint8_t
from libc.stdlib cimport free

from logly.layout.message cimport Step
from logly.ring.record cimport Value
from logly.text.buffer cimport Text
from logly.text.strftime cimport TimeText, time_text_free

# The attributes of a `logging.LogRecord` under their own names. Those up to LOGGING_LAST_KEPT are the same for all records of one
# thread, call site, level and logger.
cdef enum LoggingCode:
    LOGGING_LITERAL = 0
    LOGGING_NAME
    LOGGING_LEVELNAME
    LOGGING_LEVELNO
    LOGGING_PATHNAME
    LOGGING_FILENAME
    LOGGING_MODULE
    LOGGING_LINENO
    LOGGING_FUNCNAME
    LOGGING_THREAD
    LOGGING_PROCESS
    LOGGING_LEVELPREFIX        # of uvicorn: the level and a colon, as wide as all others
    LOGGING_LAST_KEPT = LOGGING_LEVELPREFIX
    LOGGING_THREADNAME
    LOGGING_CREATED
    LOGGING_MSECS
    LOGGING_RELATIVECREATED
    LOGGING_SECOND             # a part of asctime: what strftime makes
    LOGGING_ASCTIME            # with a width, a precision or a conversion; else its parts stand in its place
    LOGGING_MESSAGE
    LOGGING_FIELD              # of `extra`
    LOGGING_FIELD_OR_TIME      # of `extra`; if it is not there, what asctime is
    LOGGING_REQUEST_LINE       # of uvicorn's access log
    LOGGING_STATUS_CODE
    LOGGING_EXTRA              # of python-json-logger: all fields that no other piece shows
    LOGGING_EXCEPTION
    LOGGING_STACK
    LOGGING_TIMESTAMP

cdef enum:
    LOGGING_ENTRIES = 32
    LOGGING_TEXT = 160         # longer texts are not cached; call sites are often shown by their path


# The text of a run of pieces, for one (thread, call site, level, logger): as layout/kept_text.pxd, but by the level's number.
cdef struct LoggingEntry:
    uint64_t site              # its serial
    uint64_t thread
    uint64_t process
    int32_t level
    uint16_t origin
    uint16_t size              # 0: the entry is empty
    char text[LOGGING_TEXT]


cdef struct LoggingPiece:
    uint8_t code
    bint is_json               # shown as `json.dumps` shows it
    bint is_ascii              # with `ensure_ascii`
    bint truncates             # a float is shown as an int, without its fraction: `%d`
    uint32_t run               # number of pieces in the run that begins here; 0: no run begins here
    LoggingEntry* kept         # LOGGING_ENTRIES entries where a run begins
    Step step                  # literal text, key, conversion and specification
    Text missing               # LOGGING_FIELD: what a record without the field shows


cdef struct LoggingLevel:
    int32_t number
    Text name
    Text prefix                # LOGGING_LEVELPREFIX


cdef struct LoggingLayout:
    uint32_t pieces
    uint32_t asctime_pieces
    LoggingPiece* piece
    LoggingPiece* asctime      # the parts of LOGGING_ASCTIME
    uint32_t levels
    LoggingLevel* level        # names by number, as `logging.getLevelName` knows them
    Text terminator
    uint32_t phrases
    LoggingLevel* phrase       # what LOGGING_STATUS_CODE shows, by the number of a response
    bint is_json               # of python-json-logger
    bint is_ascii              # its `json_ensure_ascii`
    uint32_t skips
    Value* skipped             # names that LOGGING_EXTRA does not show
    uint32_t renames
    Value* renamed             # names that it shows under others
    Text* new_name             # those, as JSON
    TimeText time
    bint shows_time
    bint shows_thread
    bint counts_ns             # since CPython 3.13: `created` and what follows from it are made of nanoseconds
    int64_t start_ns           # `logging._startTime`: which of the two depends on `counts_ns`
    double start_s


cdef inline void logging_pieces_free(LoggingPiece* piece, uint32_t count) noexcept nogil:
    cdef uint32_t i
    if piece == NULL:
        return
    for i in range(count):
        free(<void*> piece[i].step.text)
        free(<void*> piece[i].step.key.data)
        free(<void*> piece[i].missing.data)
        free(piece[i].kept)
    free(piece)


cdef inline void logging_layout_free(LoggingLayout* layout) noexcept nogil:
    cdef uint32_t i
    if layout == NULL:
        return
    logging_pieces_free(layout.piece, layout.pieces)
    logging_pieces_free(layout.asctime, layout.asctime_pieces)
    if layout.level != NULL:
        for i in range(layout.levels):
            free(<void*> layout.level[i].name.data)
            free(<void*> layout.level[i].prefix.data)
    free(layout.level)
    for i in range(layout.phrases):
        free(<void*> layout.phrase[i].name.data)
    free(layout.phrase)
    for i in range(layout.skips):
        free(<void*> layout.skipped[i].data)
    free(layout.skipped)
    for i in range(layout.renames):
        free(<void*> layout.renamed[i].data)
        free(<void*> layout.new_name[i].data)
    free(layout.renamed)
    free(layout.new_name)
    free(<void*> layout.terminator.data)
    time_text_free(&layout.time)
    free(layout)
