"""What a JSON layout is made of: the pieces of its lines, and the names of fields that it does not show as they are.

layout/json_layout.py says which members there are, layout/json_compile.pxi builds this from it, layout/json.pxd renders it.
"""

from libc.stdint cimport int32_t, uint16_t, uint32_t, uint8_t
from libc.stdlib cimport free

from logly.layout.run_entry cimport RunEntry
from logly.ring.record cimport Value
from logly.text.buffer cimport Text

# Those up to JSON_LAST_KEPT are the same for all records of one thread, call site, level and logger.
cdef enum JsonCode:
    JSON_LITERAL = 0           # keys, punctuation, static members
    JSON_LEVEL                 # the level's name
    JSON_LEVEL_LOWER
    JSON_LEVEL_NUMBER
    JSON_LEVEL_WORD            # what the layout calls a level of this number: JsonLayout.word
    JSON_LOGGER
    JSON_LOGGER_OR_MODULE      # the logger's name if it was given one, else the module
    JSON_MODULE
    JSON_FUNCTION
    JSON_FILENAME
    JSON_PATH
    JSON_THREAD                # its number
    JSON_FUNCTION_NAME         # with its module, in OTLP
    JSON_LINENO
    JSON_LAST_KEPT = JSON_LINENO
    JSON_TIME                  # RFC 3339, without the quotes
    JSON_EPOCH_S               # with six decimals
    JSON_EPOCH_MS
    JSON_EPOCH_NS
    JSON_MESSAGE
    JSON_FIELDS                # the fields as members of their own
    JSON_FIELDS_OBJECT         # the fields as one member: JsonLayout.fields_key
    JSON_EXCEPTION_TYPE
    JSON_EXCEPTION_MESSAGE
    JSON_EXCEPTION_STACK       # the traceback
    JSON_STACK                 # the whole member, whose key a field may have, too
    JSON_OF_OTLP = JSON_STACK  # those after it are in layout/otlp.pxd
    JSON_UNIX_TIME             # nanoseconds, never negative
    JSON_OBSERVED              # the time of the call in nanoseconds, even where the record has a time of its own
    JSON_THREAD_NAME
    JSON_STACK_TEXT            # the call's stack as a value
    JSON_ATTRIBUTES            # the fields as attributes of their own
    JSON_ATTRIBUTES_OBJECT     # the fields as one attribute: JsonLayout.fields_key
    JSON_TRACE                 # the members of the trace
    JSON_ARRAY                 # an array begins, whose items begin with their comma
    JSON_ARRAY_END

# Which records have a piece.
cdef enum JsonWhen:
    WHEN_ALWAYS = 0
    WHEN_NAMED                 # of a logger that was given a name
    WHEN_KEPT                  # written by the flight recorder
    WHEN_EXCEPTION
    WHEN_STACK
    WHEN_SITED                 # with a call site
    WHEN_MAPPED                # JsonName: the record has the field whose place this name is

# How a field's value is shown.
cdef enum JsonForm:
    FORM_RENAMED = 0           # as usual, but under a free name: the name is a key of the layout
    FORM_TEXT                  # in the field's own place, as text
    FORM_SAMPLED               # the W3C trace flags: whether the trace is recorded
    FORM_DATADOG_ID            # a trace or span in the form of Datadog
    FORM_TRACE_ID              # these three: as a member of the trace in OTLP
    FORM_SPAN_ID
    FORM_TRACE_FLAGS

cdef enum:
    NAME_SLOTS = 64


cdef struct JsonPiece:
    uint8_t code
    uint8_t when
    uint16_t skip              # pieces from this one on that depend on the same condition
    uint32_t run               # number of pieces in the run that begins here; 0: no run begins here
    RunEntry* kept             # RUN_ENTRIES entries where a run begins
    Text text                  # JSON_LITERAL


# What the layout calls the levels from this number on.
cdef struct JsonWord:
    int32_t least
    Text text                  # as JSON


# A name of a field that the layout does not show as it is.
cdef struct JsonName:
    Value name
    uint8_t form
    uint8_t when               # FORM_RENAMED: only in these records
    Value source               # WHEN_MAPPED: the field whose place this name is
    Text member                # other forms: the separator, the key of the place, and the colon
    Text before                # FORM_TEXT: what stands before the value


cdef struct JsonLayout:
    bint is_pretty
    bint has_mapped            # fields have places of their own
    uint8_t time               # JSON_TIME, JSON_EPOCH_S ...
    uint32_t pieces
    JsonPiece* piece
    uint32_t words
    JsonWord* word             # by number, the highest first
    uint32_t names
    JsonName* name             # by slot: see `json_name`
    uint16_t slot[NAME_SLOTS + 1]  # where the names of a slot begin
    Text fields_key            # JSON_FIELDS_OBJECT: the separator, the key, and the colon
    Value stack_key            # JSON_STACK


cdef inline void json_layout_free(JsonLayout* layout) noexcept nogil:
    cdef uint32_t i
    if layout == NULL:
        return
    for i in range(layout.pieces):
        free(<void*> layout.piece[i].text.data)
        free(layout.piece[i].kept)
    free(layout.piece)
    for i in range(layout.words):
        free(<void*> layout.word[i].text.data)
    free(layout.word)
    for i in range(layout.names):
        free(<void*> layout.name[i].name.data)
        free(<void*> layout.name[i].source.data)
        free(<void*> layout.name[i].member.data)
        free(<void*> layout.name[i].before.data)
    free(layout.name)
    free(<void*> layout.fields_key.data)
    free(<void*> layout.stack_key.data)
    free(layout)
