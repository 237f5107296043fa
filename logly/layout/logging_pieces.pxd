"""What a layout for lines of `logging` is made of: the pieces of a format of `logging.Formatter`, and what they show.

layout/logging_compile.pxi builds it from what bridge/formatters.py has parsed, layout/logging_layout.pxd renders it.
"""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t, uint8_t
from libc.stdlib cimport free

from logly.layout.message cimport Step
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
    LOGGING_LAST_KEPT = LOGGING_PROCESS
    LOGGING_THREADNAME
    LOGGING_CREATED
    LOGGING_MSECS
    LOGGING_RELATIVECREATED
    LOGGING_SECOND             # a part of asctime: what strftime makes
    LOGGING_ASCTIME            # with a width, a precision or a conversion; else its parts stand in its place
    LOGGING_MESSAGE
    LOGGING_FIELD              # of `extra`

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
    bint truncates             # a float is shown as an int, without its fraction: `%d`
    uint32_t run               # number of pieces in the run that begins here; 0: no run begins here
    LoggingEntry* kept         # LOGGING_ENTRIES entries where a run begins
    Step step                  # literal text, key, conversion and specification
    Text missing               # LOGGING_FIELD: what a record without the field shows


cdef struct LoggingLevel:
    int32_t number
    Text name


cdef struct LoggingLayout:
    uint32_t pieces
    uint32_t asctime_pieces
    LoggingPiece* piece
    LoggingPiece* asctime      # the parts of LOGGING_ASCTIME
    uint32_t levels
    LoggingLevel* level        # names by number, as `logging.getLevelName` knows them
    Text terminator
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
    free(layout.level)
    free(<void*> layout.terminator.data)
    time_text_free(&layout.time)
    free(layout)
