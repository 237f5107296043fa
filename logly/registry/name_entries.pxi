# Names (what records refer to by number: templates, call sites, levels, the logger) in the form in which a spool's file holds
# them, and the list of the spools that store names.

from _weakref import ref as weakref

from libc.stdint cimport int64_t, uint32_t

from logly.layout.line cimport Level, Site
from logly.layout.message cimport STYLE_PERCENT, TemplateStyle
from logly.layout.trace cimport Place
from logly.text.buffer cimport Text

# Of other included files:
#   text/owned_text.pxi: decimal

cdef enum NameKind:
    NAME_TEMPLATE = 1
    NAME_SITE
    NAME_LEVEL
    NAME_LOGGER
    NAME_PLACE
    NAME_ORIGIN            # of a logger, by its number in records
    NAME_PERCENT           # a template of `logging`, with the same numbers as NAME_TEMPLATE


cdef uint32_t checksum_of(bytes data) except? 0:
    from binascii import crc32
    return crc32(data)


cdef bytes name_entry(int kind, uint32_t number, list parts):
    """The bytes of one name: length, kind, number, checksum; then each part with its length."""
    cdef list pieces = []
    for part in parts:
        pieces.append(len(part).to_bytes(4, "little"))
        pieces.append(part)
    cdef bytes body = b"".join(pieces)
    cdef bytes front = len(body).to_bytes(4, "little") + kind.to_bytes(4, "little") + number.to_bytes(4, "little")
    return front + checksum_of(front + body).to_bytes(4, "little") + body


cdef bytes text_bytes(const Text* text):
    return text.data[: text.size] if text.size else b""


cdef bytes template_entry(uint32_t number, str message, TemplateStyle style):
    cdef NameKind kind = NAME_PERCENT if style == STYLE_PERCENT else NAME_TEMPLATE
    return name_entry(kind, number, [message.encode("utf-8", "surrogatepass")])


cdef bytes site_entry(const Site* site):
    return name_entry(NAME_SITE, site.id, [
        text_bytes(&site.module), text_bytes(&site.function), text_bytes(&site.path), decimal(site.line),
    ])


cdef bytes place_entry(const Place* place):
    return name_entry(NAME_PLACE, place.id, [text_bytes(&place.text), decimal(<int64_t> place.alike)])


cdef bytes logger_entry(uint32_t number, bytes name):
    return name_entry(NAME_ORIGIN, number, [name])


cdef bytes level_entry(uint32_t index, const Level* level):
    return name_entry(NAME_LEVEL, index, [text_bytes(&level.name), decimal(level.number), text_bytes(&level.color)])


cdef class NameStore:
    """Stores all names that exist when it joins `name_stores`, and from then on each new one.

    Places are an exception: a process may have tens of thousands, of which a spool's records name few. When a store joins, a
    new era begins, and what is stored of an earlier era is not in that store. A place of an earlier era is stored again before a
    record names it. Where a call has found places already and may still put them into a record, no new era begins, and the
    store gets all places at once.
    """

    cdef bint store_names(self, bytes entries) except -1:
        """Called with the registry's lock held. Returns False when there is no space: the names must not be used then."""
        raise NotImplementedError


# Weak references, changed with the registry's lock held.
cdef list name_stores = []


cdef uint32_t place_era = 1


cdef bint names_are_stored(bytes entry, int64_t since=-1) except -1:
    """Has every store stored the name? If not, records must not refer to it. `since`: the era in which it was stored before."""
    cdef NameStore store
    for known in name_stores:
        store = known()
        if store is not None and <int64_t> store.era > since and not store.store_names(entry):
            return False
    return True


cdef bint template_is_stored(uint32_t number, str message, TemplateStyle style) except -1:
    return not name_stores or names_are_stored(template_entry(number, message, style))


cdef bint site_is_stored(const Site* site) except -1:
    return not name_stores or names_are_stored(site_entry(site))


cdef bint place_is_stored(const Place* place) except -1:
    return not name_stores or names_are_stored(place_entry(place), <int64_t> place.era if place.era else -1)


cdef remember_weakly(list references, object one):
    cdef object known = weakref(one)
    for other in list(references):
        if other() is None:
            references.remove(other)
    references.append(known)


cdef forget_weakly(list references, object one):
    for known in list(references):
        if known() is one:
            references.remove(known)
