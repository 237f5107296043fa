# Stamps of Python objects, and what is known of handlers as long as their stamps hold. See bridge/route.pxd.

from _weakref import ref as weakref

from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, realloc

from logly.bridge.route cimport (
    CHECK_ANSWERS, CHECK_CLASS, CHECK_ENTRIES, CHECK_GROUP, CHECK_LIST, CHECK_NAMES, CHECK_SIZE, CHECK_WORD, Check,
    CheckKind, ClassStamp, Stamp, checks_hold, group_holds,
)
from logly.system.cpython cimport PY_NONE, PyTypeObject, is_float, is_int, is_str, type_version
from logly.system.stamps cimport (
    bases_word, changes, class_word, dict_version, dict_word, has_plain_keys, table_version, tell_changes_of, values_of,
    weakref_word,
)

# Of other included files:
#   bridge/logging_calls.pxi: PY_FALSE, PY_TRUE
#   bridge/routes.pxi: handler_entries, route_rules
#   bridge/served_extra.pxi: ServedExtra
#   bridge/sight.pxi: SIGHT_COMPARED, SIGHT_VERSIONS, SIGHT_WATCHERS, is_hasty, names_that_matter, sight
#   caller/calls.pxi: Producer

cdef extern from *:
    """
    #define LOGLY_SIZE_WORD(list) ((const uint64_t*)&((PyVarObject*)(list))->ob_size)
    #if PY_VERSION_HEX >= 0x030C0000
    #define LOGLY_CLASS_DICT PyType_GetDict
    #else
    #define LOGLY_CLASS_DICT(kind) Py_NewRef((kind)->tp_dict)
    #endif
    """
    const uint64_t* size_word "LOGLY_SIZE_WORD"(PyObject* list_) noexcept
    object class_dict "LOGLY_CLASS_DICT"(PyTypeObject* kind)
    bint PyDict_Next(object dict_, Py_ssize_t* at, PyObject** key, PyObject** value) noexcept
    PyObject* PyDict_GetItemWithError(object dict_, object key) noexcept

cdef uint64_t never = 0
cdef uint64_t handlers_forgotten = 0


cdef class Stamps:
    """Stamps of objects, taken before the objects are read. If stamps do not tell of every change, there are checks, too."""

    def __cinit__(self):
        self.kept = []
        self.held = []
        self.checks.changes = changes if sight == SIGHT_WATCHERS else 0
        self.add_changes()

    def __dealloc__(self):
        free(self.stamp)
        free(self.classes)
        free(self.checks.check)
        free(self.checks.item)

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

    cdef bint add_changes(self) except -1:
        """Stamps the number of changes. If CPython does not tell of all of them, the stamp never holds, so checks are made."""
        if sight == SIGHT_WATCHERS:
            self.add(&changes, self.checks.changes)
        elif sight != SIGHT_VERSIONS:
            self.add(&never, 1)
        return True

    cdef bint add_word(self, const uint64_t* at, uint64_t want) except -1:
        if sight == SIGHT_VERSIONS or sight == SIGHT_WATCHERS:
            self.add(at, want)
        if sight != SIGHT_VERSIONS:
            self.add_check(CHECK_WORD, at, want, 0)
        return True

    cdef bint add_check(self, CheckKind kind, const void* at, uint64_t want, uint32_t count) except -1:
        cdef Check* grown
        cdef uint32_t capacity = 2 * self.check_capacity + 16
        if self.checks.count == self.check_capacity:
            grown = <Check*> realloc(self.checks.check, capacity * sizeof(Check))
            if grown == NULL:
                raise MemoryError
            self.checks.check = grown
            self.check_capacity = capacity
        self.checks.check[self.checks.count] = Check(at, want, 0, NULL, kind, self.items, count, 0, 0)
        self.checks.count += 1
        return True

    cdef bint add_item(self, PyObject* item) except -1:
        cdef PyObject** grown
        cdef uint32_t capacity = 2 * self.item_capacity + 64
        if self.items == self.item_capacity:
            grown = <PyObject**> realloc(self.checks.item, capacity * sizeof(PyObject*))
            if grown == NULL:
                raise MemoryError
            self.checks.item = grown
            self.item_capacity = capacity
        self.checks.item[self.items] = item
        self.items += 1
        return True

    cdef dict watch(self, object one):
        """Stamps an object, its class and its attributes. Returns the attributes, or None if the object can have none."""
        cdef const uint64_t* word
        cdef PyObject* found
        self.add_word(class_word(<PyObject*> one), class_word(<PyObject*> one)[0])
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
        self.add_word(word, <uint64_t> found)
        self.kept.append(one)
        return self.take_dict(attributes, CHECK_ENTRIES)

    cdef bint watch_weakly(self, object reference, object one) except -1:
        """Stamps that a weak reference still refers to this object.

        With versions no such stamp is needed: a dict's version is never used again, so the object's dict tells of its end.
        """
        if sight != SIGHT_VERSIONS:
            self.held.append(reference)
            self.add_check(CHECK_WORD, weakref_word(<PyObject*> reference), <uint64_t> <PyObject*> one, 0)
            self.add_check(CHECK_WORD, &handlers_forgotten, handlers_forgotten, 0)
        return True

    cpdef dict watch_dict(self, dict attributes):
        """Stamps a dict that belongs to no object. Returns what is to be read instead of it."""
        cdef tuple names
        cdef PyObject* value
        if sight == SIGHT_VERSIONS:
            return self.take_dict(attributes, CHECK_ENTRIES)
        self.held.append(attributes)
        names = names_that_matter.get(id(attributes))
        if names is None or not has_plain_keys(<PyObject*> attributes):
            return self.take_dict(attributes, CHECK_ENTRIES)
        if sight == SIGHT_WATCHERS and not tell_changes_of(<PyObject*> attributes):
            self.is_blind = True
        self.add_check(CHECK_NAMES, <PyObject*> attributes, 0, <uint32_t> len(names))
        for name in names:
            value = PyDict_GetItemWithError(attributes, name)
            self.add_item(<PyObject*> name)
            self.add_item(value)
            if value != NULL:
                self.held.append(<object> value)
        self.held.append(names)
        if is_hasty:
            self.checks.check[self.checks.count - 1].version = table_version(<PyObject*> attributes)
        return attributes

    cdef dict watch_answers(self, dict answers):
        """Stamps the dict in which `isEnabledFor` remembers its answers."""
        return self.take_dict(answers, CHECK_ANSWERS)

    cdef dict take_dict(self, dict attributes, CheckKind kind):
        cdef Py_ssize_t at = 0
        cdef PyObject* key = NULL
        cdef PyObject* value = NULL
        cdef Check* made
        if sight == SIGHT_VERSIONS:
            self.add(dict_version(<PyObject*> attributes), dict_version(<PyObject*> attributes)[0])
            self.kept.append(attributes)
            return attributes
        self.kept.append(attributes)
        if sight == SIGHT_WATCHERS and not tell_changes_of(<PyObject*> attributes):
            self.is_blind = True
        self.add_check(kind, <PyObject*> attributes, 0, <uint32_t> len(attributes))
        while PyDict_Next(attributes, &at, &key, &value):
            self.add_item(key)
            self.add_item(value)
            # Values that could refer to the handler or logger are not kept alive, or it would live longer. If another object
            # got the address of such a value, its own checks would not hold.
            self.held.append(<object> key)
            if is_plain(value):
                self.held.append(<object> value)
        if is_hasty:
            made = &self.checks.check[self.checks.count - 1]
            made.version = table_version(<PyObject*> attributes)
            self.take_values(attributes)
        # Where a change is not seen if it is undone before everything is compared, the caller reads a copy of what is there now.
        return attributes if sight == SIGHT_WATCHERS else attributes.copy()

    cdef bint take_values(self, dict attributes) except -1:
        """Remembers where CPython keeps a dict's values, if outside of the dict. They can then be compared all at once."""
        cdef Py_ssize_t count = 0, i, found = 0
        cdef PyObject** values = values_of(<PyObject*> attributes, &count)
        cdef Check* made = &self.checks.check[self.checks.count - 1]
        cdef uint32_t first = self.items
        cdef uint32_t k
        cdef bint is_there
        if values == NULL:
            return True
        for i in range(count):
            # Used only if these are the values that the dict has: another build of CPython may keep something else there.
            is_there = values[i] == NULL
            for k in range(made.count):
                if values[i] != NULL and self.checks.item[made.first + 2 * k + 1] == values[i]:
                    is_there = True
            if not is_there:
                return True
            found += values[i] != NULL
            self.add_item(values[i])
        if found == <Py_ssize_t> made.count:
            made.values, made.first_value, made.value_count = values, first, <uint32_t> count
        return True

    cpdef watch_class(self, kind):
        cdef uint32_t version
        getattr(kind, "__init__", None)  # makes CPython give the class a version
        version = type_version(<PyTypeObject*> kind)
        self.add_class(<PyTypeObject*> kind, version)
        if sight != SIGHT_VERSIONS:
            self.add_check(CHECK_CLASS, <PyTypeObject*> kind, version, 0)
            if version == 0:
                self.watch_bases(kind)

    cdef bint watch_bases(self, object kind) except -1:
        """Called for a class that gets no version any more. From 3.13 on, a class gets at most a thousand versions."""
        cdef tuple bases
        self.add_check(CHECK_WORD, bases_word(<PyTypeObject*> kind), bases_word(<PyTypeObject*> kind)[0], 0)
        bases = kind.__mro__
        self.held.append(bases)
        for base in bases:
            if base is not object:
                self.take_dict(class_dict(<PyTypeObject*> base), CHECK_ENTRIES)
        return True

    cdef bint add_class(self, PyTypeObject* kind, uint32_t version) except -1:
        cdef ClassStamp* grown
        cdef uint32_t i
        if version == 0 and sight == SIGHT_VERSIONS:
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

    cdef list watch_list(self, list items):
        """Returns a copy of a list. (A route compares the list itself, see `ListStamp`; checks are added where they are used.)"""
        cdef list now = list(items)
        if sight != SIGHT_VERSIONS:
            self.add_check(CHECK_LIST, <PyObject*> items, <uint64_t> len(now), <uint32_t> len(now))
            for item in now:
                self.add_item(<PyObject*> item)
        return now

    cdef bint watch_size(self, list items) except -1:
        """Stamps the size of a list, if only its size matters or it is empty."""
        if sight == SIGHT_VERSIONS or sight == SIGHT_WATCHERS:
            self.add(size_word(<PyObject*> items), <uint64_t> len(items))
        if sight != SIGHT_VERSIONS:
            self.add_check(CHECK_SIZE, <PyObject*> items, <uint64_t> len(items), 0)
        return True

    cdef bint take_in(self, Stamps other) except -1:
        """Makes other stamps a part of these. The caller has seen that they hold, or has just made them."""
        cdef uint32_t i
        for i in range(0 if sight == SIGHT_VERSIONS else 1, other.count):
            self.add(other.stamp[i].at, other.stamp[i].want)
        for i in range(other.class_count):
            self.add_class(other.classes[i].type, other.classes[i].version)
        self.is_blind = self.is_blind or other.is_blind
        if sight != SIGHT_VERSIONS:
            self.held.append(other)
            self.add_check(CHECK_GROUP, &other.checks, 0, 0)
        return True

    cdef bint words_hold(self) noexcept:
        cdef uint32_t i
        for i in range(self.count):
            if self.stamp[i].at[0] != self.stamp[i].want:
                return False
        for i in range(self.class_count):
            if type_version(self.classes[i].type) != self.classes[i].version:
                return False
        return True

    cdef bint hold_strictly(self) noexcept:
        """Whether nothing was changed, not even for a moment, as far as this can be known."""
        if sight == SIGHT_COMPARED:
            return checks_hold(&self.checks, 0, self.checks.count)
        return self.words_hold()

    cdef bint hold(self) noexcept:
        if sight == SIGHT_VERSIONS:
            return self.words_hold()
        return group_holds(&self.checks)

    cdef release(self):
        """Releases the stamped objects. From now on the stamps of an object may be compared only while it is known to exist."""
        self.kept = []


cdef bint is_plain(PyObject* value) noexcept:
    return is_str(value) or is_int(value) or value == PY_TRUE or value == PY_FALSE or value == PY_NONE or is_float(value)


cdef extern from *:
    """
    #define LOGLY_USED_WORD(set) ((const uint64_t*)&((PySetObject*)(set))->used)
    """
    const uint64_t* used_word "LOGLY_USED_WORD"(PyObject* set_) noexcept


cdef class HandlerEntry:
    """What serves a handler of `logging`. It is true as long as its stamps hold.

    Attributes:
        why_not: why calls that reach the handler go the way of `logging`; None: they can be fast.
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
        self.stamps.watch_weakly(self.reference, handler)
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
        """Stamps an object on which the answer depends, before it is read. Returns its attributes; None: it can have none."""
        return self.stamps.watch(one)

    def watch_dict(self, dict attributes):
        """Stamps a dict on which the answer depends, before it is read. Returns the dict that is to be read instead."""
        return self.stamps.watch_dict(attributes)

    def watch_size(self, items):
        """Stamps how many items a list or a set has."""
        if type(items) is list:
            self.stamps.watch_size(items)
        else:
            self.stamps.add_word(used_word(<PyObject*> items), <uint64_t> len(<set> items))
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


def forget_handler(handler not None):
    """Makes the handler's entry invalid, although no attribute of the handler has changed."""
    global handlers_forgotten
    handlers_forgotten += 1        # where things are compared, this makes all entries invalid; it is rare
    vars(handler)["logly"] = None  # where changes are seen, this is one
    del vars(handler)["logly"]


cdef class World:
    """What is known of the classes and functions of `logging`, for all routes. It is true as long as its stamps hold.

    Attributes:
        why_not: why no call may be fast; None: calls may.
    """

    def __init__(self):
        self.stamps = Stamps()

    def watch(self, one):
        return self.stamps.watch(one)

    def watch_bases(self, kind):
        self.stamps.watch_bases(kind)

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
