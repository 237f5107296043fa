# Compiles layouts: turns the pieces that `layout_template.parse_layout` returns into what the flusher runs.

import sys

from cpython.object cimport PyObject
from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free

from logly.layout.json_pieces cimport JsonLayout, json_layout_free
from logly.layout.line cimport (
    LAYOUT_JOURNALD, LAYOUT_JSON, LAYOUT_LOGFMT, LAYOUT_LOGGING, LAYOUT_SYSLOG, LAYOUT_TEXT, NEWLINES_ESCAPE, NEWLINES_INDENT,
    NEWLINES_KEEP, PIECE_EXCEPTION, PIECE_FIELD, PIECE_FIELDS, PIECE_FILENAME, PIECE_FUNCTION, PIECE_JSON, PIECE_LEVEL,
    PIECE_LINENO, PIECE_LITERAL, PIECE_MESSAGE, PIECE_MODULE, PIECE_NAME, PIECE_PATH, PIECE_PROCESS, PIECE_THREAD,
    PIECE_THREAD_NAME, PIECE_TIME, Layout, Piece, Style,
)
from logly.layout.logging_pieces cimport logging_layout_free
from logly.layout.run_entry cimport RUN_ENTRIES, RunEntry
from logly.layout.text_layout cimport is_of_run
from logly.layout.wire_layout cimport WireLayout, wire_layout_free
from logly.ring.record cimport TAG_LATIN1, TAG_UCS2, TAG_UCS4, TAG_UTF8, Value
from logly.system.cpython cimport text_kind_of
from logly.text.format_spec cimport FormatSpec, spec_accepts
from logly.text.time_pattern cimport (
    IN_LAYOUTS, TimePattern, time_pattern_compile, time_pattern_compile_rfc3164, time_pattern_compile_rfc3339,
    time_pattern_free,
)

# Of other included files:
#   layout/json_compile.pxi: fill_json_layout
#   text/owned_text.pxi: copy_text, parse_native_spec, utf8
#   text/python_time.pxi: check_zone

ORDER = "le" if sys.byteorder == "little" else "be"

# Keyed by the names that Python code uses.
cdef dict layout_kinds = {
    "text": LAYOUT_TEXT, "json": LAYOUT_JSON, "logfmt": LAYOUT_LOGFMT, "logging": LAYOUT_LOGGING, "rfc3164": LAYOUT_SYSLOG,
    "rfc5424": LAYOUT_SYSLOG, "journald": LAYOUT_JOURNALD,
}
cdef dict newline_kinds = {"escape": NEWLINES_ESCAPE, "indent": NEWLINES_INDENT, "keep": NEWLINES_KEEP}
cdef dict piece_names = {
    PIECE_LITERAL: "literal", PIECE_TIME: "time", PIECE_LEVEL: "level", PIECE_MESSAGE: "message", PIECE_NAME: "name",
    PIECE_MODULE: "module", PIECE_FUNCTION: "function", PIECE_FILENAME: "filename", PIECE_PATH: "path",
    PIECE_LINENO: "lineno", PIECE_THREAD: "thread", PIECE_THREAD_NAME: "thread_name", PIECE_PROCESS: "process",
    PIECE_EXCEPTION: "exception", PIECE_FIELDS: "fields", PIECE_FIELD: "field",
}
PIECES = tuple(map(piece_names.__getitem__, range(len(piece_names))))


def spec_kinds(str spec not None):
    """The kinds of value for which a specification is rendered as by str.format: KIND_ bits of text/format_spec.pxd; 0: none."""
    cdef FormatSpec parsed
    if not parse_native_spec(spec, &parsed):
        return 0
    return spec_accepts(&parsed)


cdef bint owned_key(Value* key, str name) except -1:
    """A field's name as records have it: encoded as CPython stores the str. Whoever gets it frees its data."""
    cdef int kind = text_kind_of(<PyObject*> name)
    key.data = copy_text(name.encode(("ascii", "latin-1", f"utf-16-{ORDER}", "", f"utf-32-{ORDER}")[kind])).data
    key.tag = (TAG_UTF8, TAG_LATIN1, TAG_UCS2, TAG_UTF8, TAG_UCS4)[kind]
    key.count = <uint32_t> len(name)
    return True


cdef bint fill_wire_layout(WireLayout* wire, object settings) except -1:
    """`settings`: a `WireSettings` of layout/wire.py."""
    wire.facility = settings.facility
    wire.is_framed = settings.is_framed
    wire.is_legacy = settings.is_legacy
    wire.has_bom = settings.has_bom
    wire.head = copy_text(utf8(settings.head))
    wire.element = copy_text(utf8(settings.element))
    wire.identity = copy_text(utf8(settings.identity))
    return True


cdef fill_style(Style* style, tuple given):
    sequence, style.is_level, style.is_severity = given
    if sequence:
        style.sequence = copy_text(utf8(sequence))


cdef class LayoutProgram:
    """A compiled layout in C memory.

    Args:
        kind: "text", "json", "logfmt", "rfc3164", "rfc5424" or "journald"; "logging" is for `logging_layout`
            (layout/logging_compile.pxi).
        pieces: what `layout_template.parse_layout` returned; empty for the kinds other than "text".
        newlines: as `SinkConfig.newlines`.
        color: COLOR_NONE, COLOR_LEVEL or COLOR_LINE.
        zone: the number of the time zone that text shows, see `format_time`.
        json: the members of "json", a `JsonMembers`; None: it renders no lines.
        styles: of each piece, see `StyleOfPiece` in layout/styles.py. None or empty: no piece has a style.
        part_styles: of the fields and the traceback at the end, `part_styles` of layout/styles.py; None: no styles.
        wire: the settings of a layout of syslog's or the journal's, a `WireSettings`.
    """

    def __cinit__(
        self, str kind, list pieces, *, str newlines, int color, bint terminal, int zone, bint fields, bint exception,
        object json=None, list styles=None, tuple part_styles=None, object wire=None,
    ):
        cdef int i
        self.field_names = {}
        self.layout = <Layout*> calloc(1, sizeof(Layout))
        if self.layout == NULL:
            raise MemoryError
        self.layout.kind = layout_kinds[kind]
        self.layout.newlines = newline_kinds[newlines]
        self.layout.color = color
        self.layout.terminal = terminal
        check_zone(zone)
        self.layout.zone = zone
        self.layout.ends_with_fields = fields
        self.layout.ends_with_exception = exception
        self.layout.stamp = <TimePattern*> calloc(1, sizeof(TimePattern))
        self.layout.piece = <Piece*> calloc(len(pieces) + 1, sizeof(Piece))
        if self.layout.stamp == NULL or self.layout.piece == NULL:
            raise MemoryError
        if wire is not None and wire.is_legacy:
            time_pattern_compile_rfc3164(self.layout.stamp)
        else:
            time_pattern_compile_rfc3339(self.layout.stamp)
        if json is not None:
            self.layout.json = <JsonLayout*> calloc(1, sizeof(JsonLayout))
            if self.layout.json == NULL:
                raise MemoryError
            fill_json_layout(self.layout.json, json)
        if wire is not None:
            self.layout.wire = <WireLayout*> calloc(1, sizeof(WireLayout))
            if self.layout.wire == NULL:
                raise MemoryError
            fill_wire_layout(self.layout.wire, wire)
        for i in range(len(pieces)):
            code, text, spec = pieces[i][:3]
            self.build(&self.layout.piece[i], code, text, spec)
            if code == PIECE_FIELD:
                self.field_names[i] = text
            self.layout.pieces = i + 1
        for i in range(len(styles) if styles is not None else 0):
            style, begins, ends = styles[i]
            if style is not None:
                self.layout.piece[i].has_style = True
                self.layout.piece[i].begins_style = begins
                self.layout.piece[i].ends_style = ends
                fill_style(&self.layout.piece[i].style, style)
        if part_styles is not None:
            self.layout.has_part_styles = True
            fill_style(&self.layout.separator_style, part_styles[0])
            fill_style(&self.layout.key_style, part_styles[1])
            fill_style(&self.layout.value_style, part_styles[2])
            fill_style(&self.layout.file_style, part_styles[3])
            fill_style(&self.layout.mark_style, part_styles[4])
            fill_style(&self.layout.error_style, part_styles[5])
        self.find_runs()

    def empty_fields(self):
        """The names of fields that no record has had yet, of those that the layout shows by name."""
        cdef set seen = set()
        for i in self.field_names:
            if self.layout.piece[<int> i].is_filled:
                seen.add(self.field_names[i])
        return set(self.field_names.values()) - seen

    cdef void take_over(self, LayoutProgram before) noexcept:
        """Adds to this layout what the one before it, of the same template, has seen. The flusher renders with neither."""
        cdef uint32_t i
        for i in range(min(self.layout.pieces, before.layout.pieces)):
            self.layout.piece[i].is_filled = before.layout.piece[i].is_filled or self.layout.piece[i].is_filled

    cdef find_runs(self):
        cdef Piece* piece = self.layout.piece
        cdef uint32_t first = 0, after
        while first < self.layout.pieces:
            after = first
            while after < self.layout.pieces and is_of_run(&piece[after]):
                after += 1
            # A single literal needs no cache.
            if after > first + 1 or (after > first and piece[first].code != PIECE_LITERAL):
                piece[first].kept = <RunEntry*> calloc(RUN_ENTRIES, sizeof(RunEntry))
                if piece[first].kept == NULL:
                    raise MemoryError
                piece[first].run = after - first
            first = max(after, first + 1)

    cdef build(self, Piece* piece, int code, str text, str spec):
        cdef bytes data = utf8(text)
        piece.code = code
        if code == PIECE_TIME:
            piece.time = <TimePattern*> calloc(1, sizeof(TimePattern))
            if piece.time == NULL:
                raise MemoryError
            if time_pattern_compile(piece.time, <const char*> data, len(data), IN_LAYOUTS):
                raise ValueError(f"time pattern {text!r}")
        elif code == PIECE_FIELD:
            self.build_key(piece, text)
        else:
            piece.text = copy_text(data)
        if spec == "json":
            piece.code = PIECE_JSON
            piece.inner = code
        elif spec:
            if not parse_native_spec(spec, &piece.spec):
                raise ValueError(f"format specification {spec!r}")
            piece.has_spec = True
            piece.accepts = spec_accepts(&piece.spec)

    cdef build_key(self, Piece* piece, str name):
        owned_key(&piece.key, name)
        piece.text.data = piece.key.data

    def __dealloc__(self):
        cdef uint32_t i
        if self.layout == NULL:
            return
        if self.layout.piece != NULL:
            for i in range(self.layout.pieces):
                free(<void*> self.layout.piece[i].text.data)
                free(<void*> self.layout.piece[i].style.sequence.data)
                free(self.layout.piece[i].kept)
                if self.layout.piece[i].time != NULL:
                    time_pattern_free(self.layout.piece[i].time)
                    free(self.layout.piece[i].time)
            free(self.layout.piece)
        free(<void*> self.layout.separator_style.sequence.data)
        free(<void*> self.layout.key_style.sequence.data)
        free(<void*> self.layout.value_style.sequence.data)
        free(<void*> self.layout.file_style.sequence.data)
        free(<void*> self.layout.mark_style.sequence.data)
        free(<void*> self.layout.error_style.sequence.data)
        if self.layout.stamp != NULL:
            time_pattern_free(self.layout.stamp)
            free(self.layout.stamp)
        json_layout_free(self.layout.json)
        logging_layout_free(self.layout.logging)
        wire_layout_free(self.layout.wire)
        free(self.layout)
