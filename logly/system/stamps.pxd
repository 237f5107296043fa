"""Stamps of Python objects: numbers that tell, for the price of a comparison, that an object, a class or a module was changed.

Up to CPython 3.12 a dict has a version that no other dict ever has, and that changes with each change of the dict. Later versions
keep an object's attributes outside of its dict, where no version tells of a change. There SEES_CHANGES is False.
"""

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

cdef extern from * nogil:
    """
    #ifndef LOGLY_STAMPS
    #define LOGLY_STAMPS
    #include <Python.h>
    #include <cstddef>
    #include <cstdint>
    #if PY_VERSION_HEX < 0x030D0000 && !defined(Py_GIL_DISABLED)
    #define LOGLY_SEES_CHANGES 1
    #else
    #define LOGLY_SEES_CHANGES 0
    #endif
    // The version stands before the keys. (Its name is deprecated since 3.12.)
    static inline const uint64_t* logly_dict_version(PyObject* dict) {
        return (const uint64_t*)((const char*)dict + offsetof(PyDictObject, ma_keys) - sizeof(uint64_t));
    }
    // The class of an object, and the place of its dict, as words.
    static inline const uint64_t* logly_class_word(PyObject* object) { return (const uint64_t*)&object->ob_type; }
    // Gives the object a dict if it has none yet. NULL: it cannot have one, or there is no memory (with an exception set).
    static inline const uint64_t* logly_dict_word(PyObject* object) { return (const uint64_t*)_PyObject_GetDictPtr(object); }
    #endif
    """
    bint SEES_CHANGES "LOGLY_SEES_CHANGES"
    const uint64_t* dict_version "logly_dict_version"(PyObject* dict_) noexcept
    const uint64_t* class_word "logly_class_word"(PyObject* object) noexcept
    const uint64_t* dict_word "logly_dict_word"(PyObject* object) noexcept
