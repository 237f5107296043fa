# What stands behind a value of any class, where it is a field or a part of one: a member of an enum is its value, a dataclass its
# fields, and so on. This runs Python code, on the caller's thread. docs/layouts.md has the table.

from enum import Enum

from cpython.object cimport PyObject
from libc.stdint cimport uint32_t

from logly.ring.leases cimport FREE_THREADED
from logly.system.cpython cimport PyTypeObject, Py_IncRef, type_version

# Of other included files:
#   control/core.pxi: Core
#   caller/values.pxi: safe_str, type_name

cdef enum:
    MAX_PLAIN_STEPS = 8      # from a value to what stands behind it, and to what stands behind that
    MAX_READERS = 1024

cdef object enum_class = Enum  # in a C variable: a __del__ may log after the interpreter has cleared this module
cdef object find_reader = None # logly.caller.value_classes.reader_of
cdef object classes_above = type.__dict__["__mro__"].__get__
cdef dict readers = {}         # Reader by the version of its class: no other class ever has it, nor this one after a change


cdef inline bint is_json_scalar(object value) noexcept:
    """Whether JSON has the value as it is."""
    kind = type(value)
    return kind is str or kind is int or kind is float or kind is bool or kind is bytes or value is None


cdef inline bint is_enum(object kind) except -1:
    return type(kind) is not type and issubclass(kind, enum_class)


cdef bint is_container(object value) except -1:
    return isinstance(value, (dict, list, tuple, set, frozenset)) and not is_enum(type(value))


cdef object plain_value(object value, Core core):
    """What JSON has in the value's place: exactly a str, int, float, bool, None or bytes; or a dict, list, tuple, set or
    frozenset, also of a subclass, whose items may be anything. `core`: whose functions of `encode` are asked, or None.
    """
    cdef Encoders encoders = <Encoders> core.encoders if core is not None else None
    cdef list used = [] if encoders is not None else None
    cdef object function = None
    cdef int step
    for step in range(MAX_PLAIN_STEPS):
        if is_json_scalar(value):
            return value
        if encoders is not None:
            function = encoders.function_for(type(value))
        if is_unused(function, used):
            value = encoded_value_of(value, function, core)
            continue
        if is_container(value):
            return value
        behind = value_behind(value)
        if behind is value:
            if encoders is None or not is_unused(encoders.fallback, used):
                break
            behind = encoded_value_of(value, encoders.fallback, core)
        value = behind
    return safe_str(value)


cdef bint is_unused(object function, list used) except -1:
    """Whether there is a function that was not called yet on the way to a plain value; it counts as called from now on."""
    if function is None or id(function) in used:
        return False
    used.append(id(function))
    return True


cdef object encoded_value_of(object value, object function, Core core):
    """What the program's function makes of a value."""
    cdef object trouble = None
    try:
        return function(value)
    except RecursionError:
        raise
    except Exception as error:
        trouble = error
    core.note_failed_format(trouble)
    return f"{safe_str(value)} [logly: encode failed with {type_name(trouble)}]"


cdef object value_behind(object value):
    """One step: what stands behind the value, which may be anything again. The value itself, if it is shown by `str`."""
    cdef Reader reader
    try:
        if is_enum(type(value)):
            return value.value
        if isinstance(value, int):
            return int.__int__(value)
        if isinstance(value, float):
            return float.__float__(value)
        if isinstance(value, str):
            return safe_str(value)  # a __str__ of its own may hide a secret
        if isinstance(value, bytes):
            return bytes.__getitem__(value, slice(None))
        reader = reader_of(type(value))
        if reader.function is not None:
            return reader.function(value, reader.data)
    except RecursionError:
        raise
    except Exception:
        pass
    return value


cdef Reader reader_of(object kind):
    cdef uint32_t version = type_version(<PyTypeObject*> <PyObject*> kind)
    cdef Reader found = <Reader> readers.get(version) if version else None
    return found if found is not None else learn_reader(kind, version)


cdef Reader learn_reader(object kind, uint32_t version):
    global find_reader
    cdef Reader made = Reader.__new__(Reader)
    if find_reader is None:
        from logly.caller.value_classes import reader_of as function
        find_reader = function
    made.function, made.data, is_lasting = find_reader(kind)
    if version == 0:
        version = type_version(<PyTypeObject*> <PyObject*> kind)  # it has got one, because its attributes were looked up
    if version and is_lasting:
        if len(readers) >= MAX_READERS:
            readers.clear()
        readers[version] = made
    return made


cdef class Reader:
    """How the instances of a class are shown."""
    pass


cdef class Encoders:
    """The functions of `LoggerConfig.encode`, found without any code of a class's own.

    Args:
        functions: by class.
    """

    def __init__(self, dict functions not None):
        self.functions = {}
        for kind in functions:
            if kind is object:
                self.fallback = functions[kind]
            else:
                self.functions[<size_t> <PyObject*> kind] = (kind, functions[kind])

    cdef object function_for(self, object kind):
        """The function of the class itself, else of the first one above it that has one, else None."""
        cdef object found = None
        for base in classes_above(kind):
            found = self.functions.get(<size_t> <PyObject*> base)
            if found is not None:
                break
        return (<tuple> found)[1] if found is not None else None


def use_encoders(Core core not None, Encoders encoders):
    """Values are encoded by these functions from now on."""
    if FREE_THREADED and core.encoders is not None:
        Py_IncRef(<PyObject*> core.encoders)  # for ever: another thread may be about to use them
    core.encoders = encoders
