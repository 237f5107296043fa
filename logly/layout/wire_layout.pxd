"""The settings of a layout for syslog or for systemd's journal; see layout/wire.pxd."""

from libc.stdint cimport uint8_t
from libc.stdlib cimport free

from logly.text.buffer cimport Text


cdef struct WireLayout:
    uint8_t facility       # of syslog, 0 to 23
    bint is_framed         # each message is preceded by its length: see `end_message` in layout/wire.pxd
    bint is_legacy         # RFC 3164 as libc sends it, not RFC 5424
    bint has_bom           # RFC 5424: a byte order mark says that the text is UTF-8
    Text head              # RFC 5424: the names of the host and the program, with spaces around; RFC 3164: " PROGRAM["
    Text element           # RFC 5424: the id of the structured data
    Text identity          # journal: fields that are the same in each message, with their line breaks


cdef inline void wire_layout_free(WireLayout* layout) noexcept nogil:
    if layout != NULL:
        free(<void*> layout.head.data)
        free(<void*> layout.element.data)
        free(<void*> layout.identity.data)
        free(layout)
