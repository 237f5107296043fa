# Compiles JSON layouts: turns what layout/json_layout.py describes into what the flusher runs.

from libc.stdint cimport int32_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free

from logly.layout.json_fields cimport name_slot
from logly.layout.json_pieces cimport (
    FORM_DATADOG_ID, FORM_RENAMED, FORM_SAMPLED, FORM_SPAN_ID, FORM_TEXT, FORM_TRACE_FLAGS, FORM_TRACE_ID, JSON_ARRAY,
    JSON_ARRAY_END, JSON_ATTRIBUTES, JSON_ATTRIBUTES_OBJECT, JSON_EPOCH_MS, JSON_EPOCH_NS, JSON_EPOCH_S,
    JSON_EXCEPTION_MESSAGE, JSON_EXCEPTION_STACK, JSON_EXCEPTION_TYPE, JSON_FIELDS, JSON_FIELDS_OBJECT, JSON_FILENAME,
    JSON_FUNCTION, JSON_FUNCTION_NAME, JSON_LAST_KEPT, JSON_LEVEL, JSON_LEVEL_LOWER, JSON_LEVEL_NUMBER,
    JSON_LEVEL_WORD, JSON_LINENO, JSON_LITERAL, JSON_LOGGER, JSON_LOGGER_OR_MODULE, JSON_MESSAGE, JSON_MODULE,
    JSON_OBSERVED, JSON_PATH, JSON_STACK, JSON_STACK_TEXT, JSON_THREAD, JSON_THREAD_NAME, JSON_TIME, JSON_TRACE,
    JSON_UNIX_TIME,
    NAME_SLOTS, WHEN_ALWAYS, WHEN_EXCEPTION, WHEN_KEPT, WHEN_MAPPED, WHEN_NAMED, WHEN_SITED, WHEN_STACK, JsonLayout,
    JsonName, JsonPiece, JsonWord,
)
from logly.layout.run_entry cimport RUN_ENTRIES, RunEntry

# Of other included files:
#   layout/compile.pxi: owned_key
#   text/owned_text.pxi: copy_text, utf8

cdef enum:
    LONG_LITERAL = 24    # bytes; a longer literal at the end of a run is copied for itself, so that the run's text stays short

# Keyed by the names that layout/json_layout.py uses.
cdef dict json_codes = {
    "literal": JSON_LITERAL, "level_name": JSON_LEVEL, "level_lower": JSON_LEVEL_LOWER, "level_number": JSON_LEVEL_NUMBER,
    "level_word": JSON_LEVEL_WORD, "logger": JSON_LOGGER, "logger_or_module": JSON_LOGGER_OR_MODULE, "module": JSON_MODULE,
    "function": JSON_FUNCTION, "filename": JSON_FILENAME, "path": JSON_PATH, "lineno": JSON_LINENO, "rfc3339": JSON_TIME,
    "epoch_s": JSON_EPOCH_S, "epoch_ms": JSON_EPOCH_MS, "epoch_ns": JSON_EPOCH_NS, "message": JSON_MESSAGE,
    "fields": JSON_FIELDS, "fields_object": JSON_FIELDS_OBJECT, "exception_type": JSON_EXCEPTION_TYPE,
    "exception_message": JSON_EXCEPTION_MESSAGE, "exception_stack": JSON_EXCEPTION_STACK, "stack": JSON_STACK,
    "thread": JSON_THREAD, "thread_name": JSON_THREAD_NAME, "function_name": JSON_FUNCTION_NAME, "unix_time": JSON_UNIX_TIME,
    "observed": JSON_OBSERVED,
    "stack_text": JSON_STACK_TEXT, "attributes": JSON_ATTRIBUTES, "attributes_object": JSON_ATTRIBUTES_OBJECT,
    "trace": JSON_TRACE, "array": JSON_ARRAY, "array_end": JSON_ARRAY_END,
}
cdef dict json_whens = {
    "always": WHEN_ALWAYS, "named": WHEN_NAMED, "kept": WHEN_KEPT, "exception": WHEN_EXCEPTION, "stack": WHEN_STACK,
    "mapped": WHEN_MAPPED, "sited": WHEN_SITED,
}
cdef dict json_forms = {
    "renamed": FORM_RENAMED, "text": FORM_TEXT, "sampled": FORM_SAMPLED, "datadog_id": FORM_DATADOG_ID,
    "trace_id": FORM_TRACE_ID, "span_id": FORM_SPAN_ID, "trace_flags": FORM_TRACE_FLAGS,
}


# Counts as it goes, because what has been counted is freed if the next one cannot be made.
cdef bint fill_json_pieces(JsonLayout* json, list parts) except -1:
    json.piece = <JsonPiece*> calloc(len(parts) + 1, sizeof(JsonPiece))
    if json.piece == NULL:
        raise MemoryError
    for source, when, text in parts:
        json.piece[json.pieces].code = json_codes[source]
        json.piece[json.pieces].when = json_whens[when]
        json.pieces += 1
        if text:
            json.piece[json.pieces - 1].text = copy_text(utf8(text))
    return True


cdef void count_skips(JsonLayout* json) noexcept:
    cdef uint32_t i = json.pieces
    while i > 0:
        i -= 1
        json.piece[i].skip = 1
        if i + 1 < json.pieces and json.piece[i + 1].when == json.piece[i].when:
            json.piece[i].skip += json.piece[i + 1].skip


cdef bint is_of_json_run(const JsonPiece* piece) noexcept:
    return piece.code <= JSON_LAST_KEPT and (
        piece.when == WHEN_ALWAYS or piece.when == WHEN_NAMED or piece.when == WHEN_SITED
    )


cdef bint is_long_literal(const JsonPiece* piece) noexcept:
    return piece.code == JSON_LITERAL and piece.when == WHEN_ALWAYS and piece.text.size > LONG_LITERAL


cdef bint find_json_runs(JsonLayout* json) except -1:
    cdef JsonPiece* piece = json.piece
    cdef uint32_t first = 0, after, end
    while first < json.pieces:
        after = first
        while after < json.pieces and is_of_json_run(&piece[after]):
            after += 1
        end = after
        while first < end and is_long_literal(&piece[first]):
            first += 1
        while first < end and is_long_literal(&piece[end - 1]):
            end -= 1
        # A single literal needs no cache.
        if end > first + 1 or (end > first and piece[first].code != JSON_LITERAL):
            piece[first].kept = <RunEntry*> calloc(RUN_ENTRIES, sizeof(RunEntry))
            if piece[first].kept == NULL:
                raise MemoryError
            piece[first].run = end - first
        first = max(after, first + 1)
    return True


cdef bint fill_json_words(JsonLayout* json, list words) except -1:
    json.word = <JsonWord*> calloc(len(words) + 1, sizeof(JsonWord))
    if json.word == NULL:
        raise MemoryError
    for least, text in words:
        json.word[json.words].least = <int32_t> least
        json.words += 1
        json.word[json.words - 1].text = copy_text(utf8(text))
    return True


cdef bint fill_json_name(JsonName* to, tuple one) except -1:
    name, form, when, source, member, before = one
    to.form = json_forms[form]
    to.when = json_whens[when]
    owned_key(&to.name, name)
    if source is not None:
        owned_key(&to.source, source)
    to.member = copy_text(utf8(member))
    to.before = copy_text(utf8(before))
    return True


# The names of a slot stand together, so that a field whose slot has none is looked at once.
cdef bint fill_json_names(JsonLayout* json, list names) except -1:
    cdef JsonName found
    cdef list slots = []
    cdef uint32_t slot
    for slot in range(NAME_SLOTS):
        slots.append([])
    json.name = <JsonName*> calloc(len(names) + 1, sizeof(JsonName))
    if json.name == NULL:
        raise MemoryError
    for one in names:
        owned_key(&found.name, one[0])
        slot = name_slot(&found.name)
        free(<void*> found.name.data)
        slots[slot].append(one)
    for slot in range(NAME_SLOTS):
        json.slot[slot] = <uint16_t> json.names
        for one in slots[slot]:
            json.names += 1
            fill_json_name(&json.name[json.names - 1], one)
            json.has_mapped = json.has_mapped or json.name[json.names - 1].form != FORM_RENAMED
    json.slot[NAME_SLOTS] = <uint16_t> json.names
    return True


cdef bint fill_json_layout(JsonLayout* json, object members) except -1:
    """`members`: a `JsonMembers` of layout/json_layout.py."""
    json.is_pretty = members.is_pretty
    json.time = json_codes[members.time]
    fill_json_pieces(json, members.parts)
    count_skips(json)
    find_json_runs(json)
    fill_json_words(json, members.words)
    fill_json_names(json, members.names)
    json.fields_key = copy_text(utf8(members.fields_key))
    if members.stack_key:
        owned_key(&json.stack_key, members.stack_key)
    return True
