"""Checks whether a record that was found in a file is safe to render.

The flusher trusts its own process and reads records without looking at bounds. A file may be damaged, or may not be a spool of
ours at all. So each record of a dead process is read once with every bound checked before the flusher sees it.
"""

from libc.stdint cimport int32_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memcpy

from logly.layout.line cimport MAX_LEVELS, Site, site_of
from logly.layout.logger_names cimport NameTable, logger_name
from logly.layout.message cimport MAX_ARGS, STEP_FIELD, Program, program_of
from logly.layout.trace cimport (
    HEADLINES, MAX_DEPTH, TRACE_HEADLINE, TRACE_LAST, TRACE_MARGIN, TRACE_PLACE, TRACE_RULE, TRACE_TEXT, Place,
    place_of,
)
from logly.ring.record cimport (
    HAS_EXCEPTION, HAS_NAME, HAS_NO_SITE, HAS_PROCESS, HAS_SITE, HAS_STACK, HAS_THREAD, HAS_THREAD_NAME, HAS_TIME,
    IS_NOTICE, KNOWN_FLAGS, NAME_INSIDE, OWN_NAME, STACK_TEXTS, TAG_BYTES, TAG_FLOAT, TAG_INT, TAG_JSON, TAG_NONE,
    TAG_NUMBER, TAG_UCS4, TAG_UTF8, RecordHeader, Value, get_value, same_text, unit_size,
)
from logly.text.format_spec cimport KIND_BOOL, KIND_BYTES, KIND_FLOAT, KIND_INT, KIND_NONE, KIND_STR
from logly.text.unicode cimport utf8_decode

# What the file says about one level.
cdef struct KnownLevel:
    bint is_known
    bint varies                # its number has been changed, so records may have either
    int32_t number


# What a dead process's records refer to by number.
cdef struct Names:
    Program** programs         # MAX_TEMPLATES places
    Site** sites               # MAX_SITES places
    Place** places             # MAX_PLACES of them
    NameTable loggers          # their names, but for the engine's own
    KnownLevel level[MAX_LEVELS]
    bint lacks_levels          # the file may lack some levels or numbers of levels: see `SpoolHeader.lacks_levels`


cdef struct Reading:
    const char* at
    const char* end


cdef inline bint units_are_sound(uint8_t tag, const char* data, uint64_t size) noexcept nogil:
    cdef uint64_t i
    cdef uint32_t unit
    cdef size_t length
    if tag == TAG_UCS4:
        for i in range(0, size, 4):
            memcpy(&unit, data + i, 4)
            if unit > 0x10FFFF:
                return False
    elif tag == TAG_UTF8:
        for i in range(size):
            if <uint8_t> data[i] >= 0x80:
                return False
    elif tag == TAG_JSON:
        i = 0
        while i < size:
            length = utf8_decode(<const unsigned char*> data + i, size - i, &unit)
            if length == 0:
                return False
            i += length
    elif tag == TAG_NUMBER:
        for i in range(size):
            if not (c'0' <= data[i] <= c'9' or (i == 0 and data[i] == c'-' and size > 1)):
                return False
    return True


# Reads one value, and returns its KIND bit, or 0 when the value is not sound.
cdef inline uint32_t read_sound(Reading* source) noexcept nogil:
    cdef uint64_t left = <uint64_t> (source.end - source.at)
    cdef uint32_t count
    cdef uint64_t size
    cdef uint8_t tag
    if left < 1:
        return 0
    tag = <uint8_t> source.at[0]
    if tag < TAG_INT:
        source.at += 1
        return KIND_NONE if tag == TAG_NONE else KIND_BOOL
    if tag < TAG_UTF8:
        if left < 9:
            return 0
        source.at += 9
        return KIND_FLOAT if tag == TAG_FLOAT else KIND_INT
    if tag > TAG_JSON or left < 5:
        return 0
    memcpy(&count, source.at + 1, 4)
    size = <uint64_t> count * unit_size(tag)
    if left - 5 < size or not units_are_sound(tag, source.at + 5, size):
        return 0
    source.at += 5 + size
    return KIND_BYTES if tag >= TAG_BYTES else KIND_STR


cdef inline bint read_sound_texts(Reading* source, uint32_t count) noexcept nogil:
    cdef uint32_t _
    for _ in range(count):
        if read_sound(source) != KIND_STR:
            return False
    return True


cdef inline bint args_are_sound(Reading* source, const RecordHeader* header, const Names* names) noexcept nogil:
    cdef const Program* program
    cdef uint32_t kind
    cdef uint32_t i
    if header.args > MAX_ARGS:
        return False
    program = program_of(names.programs, header.template_id)
    if program == NULL or not program.native or header.args < program.required:
        return False
    if program.exact and header.args != program.required:
        return False
    for i in range(header.args):
        kind = read_sound(source)
        if kind == 0 or (i < program.required and not program.accepts[i] & kind):
            return False
    return True


# Every field that the template names must be there: a template that wants others is not the record's own.
cdef inline bint fields_are_given(const Program* program, const char* fields, uint32_t count) noexcept nogil:
    cdef const char* at
    cdef Value name
    cdef uint32_t i, _
    cdef bint found
    for i in range(program.steps):
        if program.step[i].code != STEP_FIELD:
            continue
        found = False
        at = fields
        for _ in range(count):
            at = get_value(at, &name)
            if same_text(&name, &program.step[i].key):
                found = True
                break
            at = get_value(at, &name)
        if not found:
            return False
    return True


cdef inline bint fields_are_sound(Reading* source, const RecordHeader* header, const Names* names) noexcept nogil:
    cdef const char* fields = source.at
    cdef uint32_t _
    for _ in range(header.fields):
        if not read_sound_texts(source, 1) or read_sound(source) == 0:
            return False
    return not header.template_id or fields_are_given(
        program_of(names.programs, header.template_id), fields, header.fields
    )


# A record has its site by number, or in it, or says that it has none: a number that was damaged contradicts that.
cdef inline bint site_is_sound(const RecordHeader* header, const Names* names) noexcept nogil:
    if header.site and site_of(names.sites, header.site) == NULL:
        return False
    return (header.site != 0) + ((header.flags & HAS_SITE) != 0) + ((header.flags & HAS_NO_SITE) != 0) == 1


# A record has the number of its logger's name, or the name itself.
cdef inline bint name_is_sound(const RecordHeader* header, const Names* names) noexcept nogil:
    if header.flags & HAS_NAME:
        return header.origin == NAME_INSIDE
    return header.origin == OWN_NAME or logger_name(&names.loggers, header.origin) != NULL


cdef inline bint skip_sound_name(Reading* source) noexcept nogil:
    cdef uint64_t left = <uint64_t> (source.end - source.at)
    cdef uint32_t size
    if left < 4:
        return False
    memcpy(&size, source.at, 4)
    if left - 4 < size or not units_are_sound(TAG_JSON, source.at + 4, size):
        return False
    source.at += 4 + <uint64_t> size
    return True


# A record names its level twice: by the index that is shown, and by the number that filters compare.
cdef inline bint level_is_sound(const RecordHeader* header, const Names* names) noexcept nogil:
    cdef const KnownLevel* level = &names.level[header.level]
    if header.level_number < 0:
        return False
    return names.lacks_levels or (level.is_known and (level.varies or level.number == header.level_number))


# Reads the values of an exception: texts, or in place of the traceback its steps.
cdef inline bint read_sound_exception(Reading* source, const Names* names) noexcept nogil:
    cdef const char* start
    cdef uint32_t kind
    if not read_sound_texts(source, 2):
        return False
    start = source.at
    kind = read_sound(source)
    if kind == KIND_BYTES and not steps_are_sound(start + 5, source.at, names):
        return False
    return (kind == KIND_STR or kind == KIND_BYTES) and read_sound_texts(source, 1)


cdef inline bint steps_are_sound(const char* at, const char* end, const Names* names) noexcept nogil:
    cdef Reading source
    cdef uint32_t number
    cdef uint8_t code
    source.at = at
    source.end = end
    while source.at < source.end:
        code = <uint8_t> source.at[0]
        source.at += 1
        if code == TRACE_LAST or code == TRACE_TEXT:
            if not read_sound_texts(&source, 2):
                return False
        elif code == TRACE_RULE:
            if not read_sound_texts(&source, 1):
                return False
        elif code == TRACE_PLACE:
            if end - source.at < 8:
                return False
            memcpy(&number, source.at, 4)
            source.at += 8
            if place_of(names.places, number) == NULL:
                return False
        elif code == TRACE_HEADLINE:
            if end - source.at < 1 or <uint8_t> source.at[0] >= HEADLINES:
                return False
            source.at += 1
        elif code == TRACE_MARGIN:
            if end - source.at < 2 or <uint8_t> source.at[0] > MAX_DEPTH or (source.at[1] != c'|' and source.at[1] != c'+'):
                return False
            source.at += 2
        else:
            return False
    return True


cdef inline bint skip_sound_word(Reading* source) noexcept nogil:
    if source.end - source.at < 8:
        return False
    source.at += 8
    return True


cdef inline bint record_is_sound(const char* record, uint64_t room, const Names* names) noexcept nogil:
    cdef const RecordHeader* header = <const RecordHeader*> record
    cdef Reading source
    if room < sizeof(RecordHeader) or header.size < sizeof(RecordHeader) or header.size > room:
        return False
    source.at = record + sizeof(RecordHeader)
    source.end = record + header.size
    if not site_is_sound(header, names) or not level_is_sound(header, names):
        return False
    if header.flags & (~<uint32_t> KNOWN_FLAGS | IS_NOTICE) or not name_is_sound(header, names):
        return False
    if header.flags & HAS_PROCESS and not skip_sound_word(&source):
        return False
    if header.flags & HAS_TIME and not skip_sound_word(&source):
        return False
    if header.flags & HAS_NAME and not skip_sound_name(&source):
        return False
    if header.flags & HAS_THREAD and not skip_sound_word(&source):
        return False
    if header.flags & HAS_THREAD_NAME and not read_sound_texts(&source, 1):
        return False
    if header.flags & HAS_SITE and (not read_sound_texts(&source, 3) or read_sound(&source) != KIND_INT):
        return False
    if header.template_id:
        if not args_are_sound(&source, header, names):
            return False
    elif header.args or not read_sound_texts(&source, 1):
        return False
    if not fields_are_sound(&source, header, names):
        return False
    if header.flags & HAS_EXCEPTION and not read_sound_exception(&source, names):
        return False
    if header.flags & HAS_STACK and not read_sound_texts(&source, STACK_TEXTS):
        return False
    # What follows the last value only rounds the size up: a flag or a count that was damaged leaves more.
    return source.end - source.at < 8
