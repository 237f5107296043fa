# Layouts in C memory, for the renderer.

cdef class LayoutProgram:
    """A layout in C memory.

    Args:
        kind: "text", "json", "pretty_json" or "logfmt".
        pieces: what `template.parse_layout` returned; empty for the others.
    """

    def __cinit__(self, str kind, list pieces, *, str newlines, int color, bint terminal, bint utc, bint fields, bint exception):
        cdef int i
        self.layout = <Layout*> calloc(1, sizeof(Layout))
        if self.layout == NULL:
            raise MemoryError
        self.layout.kind = ("text", "json", "pretty_json", "logfmt").index(kind)
        self.layout.newlines = ("escape", "indent", "keep").index(newlines)
        self.layout.color = color
        self.layout.terminal = terminal
        self.layout.utc = utc
        self.layout.ends_with_fields = fields
        self.layout.ends_with_exception = exception
        self.layout.stamp = <TimePattern*> calloc(1, sizeof(TimePattern))
        self.layout.piece = <Piece*> calloc(len(pieces) + 1, sizeof(Piece))
        if self.layout.stamp == NULL or self.layout.piece == NULL:
            raise MemoryError
        time_pattern_compile_rfc3339(self.layout.stamp)
        for i, (code, text, _, spec) in enumerate(pieces):
            self.build(&self.layout.piece[i], code, text, spec)
            self.layout.pieces = i + 1

    cdef build(self, Piece* piece, int code, str text, str spec):
        cdef bytes data = utf8(text)
        cdef int mistake
        piece.code = code
        piece.text = copy_text(data)
        if code == PIECE_TIME:
            piece.time = <TimePattern*> calloc(1, sizeof(TimePattern))
            if piece.time == NULL:
                raise MemoryError
            mistake = time_pattern_compile(piece.time, <const char*> data, len(data))
            if mistake:
                raise ValueError(f"time pattern {text!r}: mistake at position {mistake - 1}")
        elif code == PIECE_FIELD:
            piece.key.tag = TAG_UTF8
            piece.key.data = piece.text.data
            piece.key.count = piece.text.size
        if spec:
            if not parse_native_spec(spec, &piece.spec):
                raise ValueError(f"format specification {spec!r} is not valid in a layout")
            piece.has_spec = True

    def __dealloc__(self):
        cdef uint32_t i
        if self.layout == NULL:
            return
        if self.layout.piece != NULL:
            for i in range(self.layout.pieces):
                free(<void*> self.layout.piece[i].text.data)
                if self.layout.piece[i].time != NULL:
                    time_pattern_free(self.layout.piece[i].time)
                    free(self.layout.piece[i].time)
            free(self.layout.piece)
        if self.layout.stamp != NULL:
            time_pattern_free(self.layout.stamp)
            free(self.layout.stamp)
        free(self.layout)
