# What an engine hides: the settings `redact` and `redact_text` in C memory. The flusher hides it in records, and log calls in the
# messages that they make themselves.

from cpython.ref cimport Py_INCREF
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from logly.layout.name_patterns cimport (
    KNOWN_NAMES, KnownName, NamePattern, NamePatterns, ShortName, any_matches, note_end,
)
from logly.layout.redaction_rules cimport Redaction, redaction_free
from logly.layout.secret_text cimport hide_in_text
from logly.ring.leases cimport FREE_THREADED
from logly.text.buffer cimport Buffer, buffer_free, buffer_init

# Of other included files:
#   control/core.pxi: Core
#   text/owned_text.pxi: copy_text, utf8


cdef set spellings(str name):
    """The spellings of a pattern, with small letters from A to Z: in the core, other letters have no case."""
    cdef bytes as_given = utf8(name).lower()
    return {as_given, utf8(name.lower()).lower(), utf8(name.upper()).lower(), utf8(name.title()).lower()}


cdef bint fill_names(NamePatterns* names, tuple given) except -1:
    cdef set patterns = set()
    cdef bytes pattern
    cdef NamePattern* one
    for name in given:
        patterns |= spellings(name)
    names.pattern = <NamePattern*> calloc(len(patterns) + 1, sizeof(NamePattern))
    names.known = <KnownName*> calloc(KNOWN_NAMES, sizeof(KnownName))
    names.short_names = <ShortName*> calloc(KNOWN_NAMES, sizeof(ShortName))
    if names.pattern == NULL or names.known == NULL or names.short_names == NULL:
        raise MemoryError
    for pattern in sorted(patterns):
        one = &names.pattern[names.count]
        one.text = copy_text(pattern).data
        one.size = <uint32_t> len(pattern)
        one.has_star = b"*" in pattern
        names.count += 1
        note_end(names, one)
    return True


cdef void free_names(NamePatterns* names) noexcept:
    cdef uint32_t i
    for i in range(names.count):
        free(<void*> names.pattern[i].text)
    free(names.pattern)
    free(names.known)
    free(names.short_names)


cdef class Redactor:
    """What a logger hides.

    Args:
        names: patterns of the names of fields.
        keys: the same of keys in messages and tracebacks; None: these are left as they are.
    """

    def __cinit__(self, tuple names not None, tuple keys):
        memset(&self.redaction, 0, sizeof(Redaction))
        self.names = names
        self.keys = keys
        fill_names(&self.redaction.names, names)
        if keys is not None:
            fill_names(&self.redaction.keys, keys)
            self.redaction.hides_text = True

    def __dealloc__(self):
        free_names(&self.redaction.names)
        free_names(&self.redaction.keys)
        redaction_free(&self.redaction)

    cdef bint hides(self, str name) except -1:
        """Whether this is the name of a secret. For log calls: the table of known names is the flusher's."""
        cdef bytes text = utf8(name)
        return any_matches(&self.redaction.names, <const char*> text, len(text))

    def hides_name(self, str name not None):
        """The same for code in Python."""
        return self.hides(name)

    def without_secrets(self, str text not None):
        """The text without what `keys` hide in it. Not for two threads at once, and not for one that a core uses."""
        cdef Buffer out
        cdef uint64_t steps = 0
        cdef bytes data = utf8(text)
        buffer_init(&out)
        if not self.redaction.hides_text or not hide_in_text(&out, &self.redaction.keys, <const char*> data, len(data), &steps):
            buffer_free(&out)
            return text
        try:
            if out.failed:
                raise MemoryError
            return out.data[: out.size].decode("utf-8", "replace")
        finally:
            buffer_free(&out)


cdef bint hides_names = False  # some engine has hidden names


def use_redaction(Core core not None, Redactor redactor):
    """Hides this from now on, also in records that were logged before and have no line yet. None: nothing is hidden."""
    global hides_names
    if FREE_THREADED and core.redactor is not None:
        # Another thread may read it just now. It is small, and settings change rarely.
        Py_INCREF(core.redactor)
    if redactor is not None and redactor.names:
        hides_names = True
    core.lock()
    core.engine.redaction = &redactor.redaction if redactor is not None else NULL
    core.unlock()
    core.redactor = redactor
