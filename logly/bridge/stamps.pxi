# Stamps of Python objects, and what is known of handlers as long as their stamps hold.

from _weakref import ref as weakref

from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, realloc

from logly.bridge.route cimport ClassStamp, Stamp
from logly.system.cpython cimport PyTypeObject, type_version
from logly.system.stamps cimport class_word, dict_version, dict_word

# Of other included files:
#   bridge/routes.pxi: handler_entries, route_rules
#   bridge/served_extra.pxi: ServedExtra
#   caller/calls.pxi: Producer


cdef class Stamps:
    """Stamps of objects, taken before they are read."""

    def __dealloc__(self):
        free(self.stamp)
        free(self.classes)

    cdef bint add(self, const uint64_t* at, uint64_t want) except -1:
        cdef Stamp* grown
        if self.count == self.capacity:
            grown = <Stamp*> realloc(self.stamp, (2 * self.capacity + 16) * sizeof(Stamp))
            if grown == NULL:
                raise MemoryError
            self.stamp = grown
            self.capacity = 2 * self.capacity + 16
        self.stamp[self.count] = Stamp(at, want)
        self.count += 1
        return True

    cdef dict watch(self, object one):
        """Stamps an object, its class and its attributes. Returns these, or None where it can have none."""
        cdef const uint64_t* word
        cdef PyObject* found
        self.add(class_word(<PyObject*> one), class_word(<PyObject*> one)[0])
        self.watch_class(type(one))
        word = dict_word(<PyObject*> one)
        if word == NULL or word[0] == 0:
            self.is_blind = True
            return None
        found = <PyObject*> word[0]
        if not isinstance(<object> found, dict):
            self.is_blind = True
            return None
        attributes = <dict> found
        self.add(word, <uint64_t> found)
        self.watch_dict(attributes)
        self.kept.append(one)
        return attributes

    cpdef watch_dict(self, dict attributes):
        self.add(dict_version(<PyObject*> attributes), dict_version(<PyObject*> attributes)[0])
        self.kept.append(attributes)

    cpdef watch_class(self, kind):
        getattr(kind, "__init__", None)  # has the class get a version
        self.add_class(<PyTypeObject*> kind, type_version(<PyTypeObject*> kind))

    cdef bint add_class(self, PyTypeObject* kind, uint32_t version) except -1:
        cdef ClassStamp* grown
        cdef uint32_t i
        if version == 0:
            self.is_blind = True
        for i in range(self.class_count):
            if self.classes[i].type == kind and self.classes[i].version == version:
                return True
        grown = <ClassStamp*> realloc(self.classes, (self.class_count + 1) * sizeof(ClassStamp))
        if grown == NULL:
            raise MemoryError
        self.classes = grown
        self.classes[self.class_count] = ClassStamp(kind, version)
        self.class_count += 1
        return True

    cdef bint watch_size(self, list items) except -1:
        """For a list of which only the size matters, or that is empty."""
        return self.add(size_word(<PyObject*> items), <uint64_t> len(items))

    cdef bint copy(self, Stamps other) except -1:
        cdef uint32_t i
        for i in range(other.count):
            self.add(other.stamp[i].at, other.stamp[i].want)
        for i in range(other.class_count):
            self.add_class(other.classes[i].type, other.classes[i].version)
        self.is_blind = self.is_blind or other.is_blind
        return True

    cdef bint hold(self) noexcept:
        cdef uint32_t i
        for i in range(self.count):
            if self.stamp[i].at[0] != self.stamp[i].want:
                return False
        for i in range(self.class_count):
            if type_version(self.classes[i].type) != self.classes[i].version:
                return False
        return True

    def __cinit__(self):
        self.kept = []

    cdef release(self):
        """Lets go what was stamped. From now on the stamps of an object may be compared only while it is known to live."""
        self.kept = []


cdef extern from *:
    """
    #define LOGLY_SIZE_WORD(list) ((const uint64_t*)&((PyVarObject*)(list))->ob_size)
    #define LOGLY_USED_WORD(set) ((const uint64_t*)&((PySetObject*)(set))->used)
    """
    const uint64_t* size_word "LOGLY_SIZE_WORD"(PyObject* list_) noexcept
    const uint64_t* used_word "LOGLY_USED_WORD"(PyObject* set_) noexcept


cdef class HandlerEntry:
    """What a handler of `logging` is served by, as long as its stamps hold.

    Attributes:
        why_not: why calls that reach it go the way of `logging`; None: they need not.
        wants_nothing: it is a `NullHandler`.
        filters: how many filters it has.
        producer: the logly logger that a `StdlibHandler` gives its records to, or None.
        sink: the id of the sink that serves it, or -1.
        is_ascii: only ASCII text may be rendered for it.
        extra: what its formatter shows of `extra` (a `ShownExtra`), or None.
    """

    def __init__(self, handler):
        cdef dict attributes
        self.reference = weakref(handler, _forget_entry(id(handler)))
        self.stamps = Stamps()
        self.sink = -1
        attributes = self.stamps.watch(handler)
        self.level = attributes.get("level") if attributes is not None else None
        filters = attributes.get("filters") if attributes is not None else None
        if type(filters) is list:
            self.stamps.watch_size(filters)
            self.filters = len(<list> filters)
        else:
            self.why_not = f"handler {type(handler).__qualname__} is not set up as logging does"

    def watch(self, one):
        """Stamps an object that decides, before it is read. Returns its attributes, or None where it can have none."""
        return self.stamps.watch(one)

    def watch_dict(self, dict attributes):
        """Stamps a dict that decides, before it is read."""
        self.stamps.watch_dict(attributes)

    def watch_size(self, items):
        """Stamps how many items a list or a set has."""
        if type(items) is list:
            self.stamps.watch_size(items)
        else:
            self.stamps.add(used_word(<PyObject*> items), <uint64_t> len(<set> items))
        self.stamps.kept.append(items)

    cdef bint is_of(self, object handler) noexcept:
        return self.reference() is handler and self.stamps.hold()


def _forget_entry(number):
    def forget(reference):
        cdef HandlerEntry entry = handler_entries.get(number)
        if entry is not None and entry.reference is reference:
            handler_entries.pop(number, None)
            if route_rules is not None:
                route_rules.handler_is_gone(number)

    return forget


cdef class World:
    """What holds for all routes, as long as its stamps hold: the classes and functions of `logging`.

    Attributes:
        why_not: why no call may be fast; None: calls may.
    """

    def __init__(self):
        self.stamps = Stamps()

    def watch_module(self, dict attributes):
        self.stamps.watch_dict(attributes)

    def watch_class(self, kind):
        self.stamps.watch_class(kind)

    @property
    def holds(self):
        return self.stamps.hold()


cdef class Target:
    """Where the records of a level go: the producer that makes them, and the flags that they have."""

    def __init__(self, Producer producer not None, *, bint is_served=False, bint is_ascii=False, ServedExtra extra=None):
        self.producer = producer
        self.is_served = is_served
        self.is_ascii = is_ascii
        self.extra = extra
