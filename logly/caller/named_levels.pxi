# `logger.notice(...)` after `add_level("notice", 22)`.
#
# The name is an attribute of the class, because a logger has no dictionary. It belongs to those loggers whose engine has the
# level: the others answer that there is no such attribute, as before. A name that the class has already stays what it is. Such a
# level is logged by `log(name, ...)`.
#
# Reading the attribute makes a tuple and a builtin function. (Tried in thought and rejected: `__getattr__`, with which CPython
# 3.11 specializes no call of a method. A method descriptor for each name, which needs a C function of its own.)

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint8_t

from logly.system.cpython cimport (
    METH_FASTCALL, METH_KEYWORDS, PyCFunction, PyCFunction_New, PyMethodDef, Py_IncRef, tuple_item,
)

# Of other included files:
#   caller/calls.pxi: Producer, emit, resolve_level_of
#   caller/light_calls.pxi: emit_light
#   caller/limits.pxi: light_class

cdef object logger_class = None

cdef extern from *:
    """
    static const char NAMED_DOC[] = "log_at($self, message, /, *args, **fields)\\n--\\n\\n"
        "Log a message at the level of this name; see `Logger.info` for the rest.";
    """
    const char* NAMED_DOC

cdef PyMethodDef named_level_method
named_level_method.ml_name = b"log_at"
named_level_method.ml_meth = <PyCFunction> <void*> call_named_level
named_level_method.ml_flags = METH_FASTCALL | METH_KEYWORDS
named_level_method.ml_doc = NAMED_DOC

cdef PyMethodDef named_light_method
named_light_method.ml_name = b"log_at"
named_light_method.ml_meth = <PyCFunction> <void*> call_named_light
named_light_method.ml_flags = METH_FASTCALL | METH_KEYWORDS
named_light_method.ml_doc = NAMED_DOC


cdef class LevelName:
    """An attribute of `Logger` or `LightLogger` that logs at the level of this name."""

    def __get__(self, instance, owner):
        if instance is None:
            return self
        if not isinstance(instance, Producer) or (<Producer> instance).core is None or not self.is_level_of(instance):
            attribute = self.name.lower()
            raise AttributeError(
                f"{owner.__name__!r} object has no attribute {attribute!r}: use add_level({attribute!r}, number) first"
            )
        return PyCFunction_New(&named_light_method if self.is_light else &named_level_method, (instance, self.name))

    cdef bint is_level_of(self, Producer producer) except -1:
        return self.name in producer.core.level_index


# `pair`: the logger and the level's name.
cdef PyObject* call_named_level(PyObject* pair, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    cdef PyObject* logger = tuple_item(pair, 0)
    cdef PyObject* name = tuple_item(pair, 1)
    cdef int32_t number = 0
    cdef uint8_t level = 0
    if not resolve_level_of(<Producer> logger, &name, 1, &number, &level):
        Py_IncRef(<PyObject*> None)
        return <PyObject*> None
    return emit(logger, number, level, args, count, names)


cdef PyObject* call_named_light(PyObject* pair, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    cdef PyObject* logger = tuple_item(pair, 0)
    cdef PyObject* name = tuple_item(pair, 1)
    cdef int32_t number = 0
    cdef uint8_t level = 0
    if not resolve_level_of(<Producer> logger, &name, 1, &number, &level):
        Py_IncRef(<PyObject*> None)
        return <PyObject*> None
    return emit_light(logger, number, level, args, count, names)


cdef bint is_taken(object cls, str name) except -1:
    for base in cls.__mro__:
        found = vars(base).get(name)
        if found is not None:
            return not getattr(type(found), "is_hint", False)
    return False


def name_level(str name not None):
    """Has loggers of engines with a level of this name log at it by an attribute: `notice` for "NOTICE"."""
    cdef LevelName made
    cdef str attribute = name.strip().lower()
    if not attribute.isidentifier():
        return
    for cls in (logger_class, light_class):
        if cls is not None and not is_taken(cls, attribute):
            made = LevelName.__new__(LevelName)
            made.name = name.strip().upper()
            made.is_light = cls is light_class
            setattr(cls, attribute, made)
