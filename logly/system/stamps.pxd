"""How a change of a Python object is seen: by a number that it changes, by being told of it, or by comparing what is there.

Up to CPython 3.12 a dict has a version that no other dict ever has, and that changes with each change of the dict. Later versions
keep an object's attributes outside of its dict, where no version tells of a change. From 3.12 on CPython tells watchers before
a dict changes. (3.13.0 does not tell of attributes that are outside of the dict.) A class has a version in all of them.
Where neither can be trusted, the entries of a dict are compared one by one.

All of this needs a GIL: without one another thread may change and free what is read here.
"""

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from logly.system.cpython cimport PyTypeObject

cdef extern from * nogil:
    """
    #ifndef LOGLY_STAMPS
    #define LOGLY_STAMPS
    #include <Python.h>
    #include <cstddef>
    #include <cstdint>
    #include <cstring>
    // What is known here of CPython's structures holds for the versions that are named, and was looked up for each.
    #if defined(Py_GIL_DISABLED) || PY_VERSION_HEX >= 0x030F0000
    #define LOGLY_KNOWS_OBJECTS 0
    #else
    #define LOGLY_KNOWS_OBJECTS 1
    #endif
    #define LOGLY_HAS_VERSIONS (LOGLY_KNOWS_OBJECTS && PY_VERSION_HEX < 0x030D0000)
    #define LOGLY_COMPARES (LOGLY_KNOWS_OBJECTS && PY_VERSION_HEX >= 0x030C0000)

    // The class of an object, and the place of its dict, as words.
    static inline const uint64_t* logly_class_word(PyObject* object) { return (const uint64_t*)&object->ob_type; }
    // Holds the class and its bases, as a tuple.
    static inline const uint64_t* logly_bases_word(PyTypeObject* type) { return (const uint64_t*)&type->tp_mro; }
    #if LOGLY_KNOWS_OBJECTS
    // Gives the object a dict if it has none yet. NULL: it cannot have one, or there is no memory (with an exception set).
    static inline const uint64_t* logly_dict_word(PyObject* object) { return (const uint64_t*)_PyObject_GetDictPtr(object); }
    // Holds the object that a weak reference refers to, or None when that is gone.
    static inline const uint64_t* logly_weakref_word(PyObject* reference) {
        return (const uint64_t*)&((PyWeakReference*)reference)->wr_object;
    }
    #else
    static inline const uint64_t* logly_dict_word(PyObject*) { return nullptr; }
    static inline const uint64_t* logly_weakref_word(PyObject* reference) { return (const uint64_t*)&reference->ob_type; }
    #endif

    // The version stands before the keys. (Its name is deprecated since 3.12.)
    #if LOGLY_KNOWS_OBJECTS && PY_VERSION_HEX < 0x030E0000
    #define LOGLY_HAS_TABLE_VERSIONS 1
    static inline const uint64_t* logly_dict_version(PyObject* dict) {
        return (const uint64_t*)((const char*)dict + offsetof(PyDictObject, ma_keys) - sizeof(uint64_t));
    }
    // The version of a dict that keeps its values itself, and so tells of every change of them; else 0.
    static inline uint64_t logly_table_version(PyObject* dict) {
        return ((PyDictObject*)dict)->ma_values == nullptr ? *logly_dict_version(dict) : 0;
    }
    #else
    #define LOGLY_HAS_TABLE_VERSIONS 0
    static uint64_t logly_no_version = 0;
    static inline const uint64_t* logly_dict_version(PyObject*) { return &logly_no_version; }
    static inline uint64_t logly_table_version(PyObject*) { return 0; }
    #endif

    // Where an object keeps the values of its attributes, if they are outside of its dict: one word for each key that objects of
    // the class have. NULL: they are not, or that is not known. 3.13 and 3.14 are frozen, so their layout (struct _dictvalues in
    // Include/internal/pycore_dict.h) is repeated here: the first byte is the number of values, which begin at the second word.
    #if LOGLY_COMPARES && PY_VERSION_HEX >= 0x030D0000
    static inline PyObject* const* logly_values(PyObject* dict, Py_ssize_t* count) {
        const unsigned char* values = (const unsigned char*)((PyDictObject*)dict)->ma_values;
        if (values == nullptr) return nullptr;
        *count = values[0];
        return (PyObject* const*)(values + sizeof(PyObject*));
    }
    #else
    static inline PyObject* const* logly_values(PyObject*, Py_ssize_t*) { return nullptr; }
    #endif
    static inline int logly_are_values(PyObject* dict, PyObject* const* at, PyObject* const* want, Py_ssize_t count) {
        Py_ssize_t now = 0;
        return logly_values(dict, &now) == at && now == count && memcmp(at, want, (size_t)count * sizeof(PyObject*)) == 0;
    }

    // Whether an entry of a dict is one that `isEnabledFor` makes to remember its answer about a level.
    static inline int logly_is_answer(PyObject* key, PyObject* value) {
        return (value == Py_True || value == Py_False) && PyLong_CheckExact(key);
    }
    // Whether a dict has the `count` entries at `want` (key, value, key, ...), in this order, and no others. `may_grow`: answers
    // about more levels may have been added.
    static inline int logly_are_entries(PyObject* dict, PyObject* const* want, Py_ssize_t count, int may_grow) {
        if (!PyDict_Check(dict)) return 0;
        if (may_grow ? PyDict_GET_SIZE(dict) < count : PyDict_GET_SIZE(dict) != count) return 0;
        Py_ssize_t at = 0, i = 0;
        PyObject* key;
        PyObject* value;
        for (; PyDict_Next(dict, &at, &key, &value); i++) {
            if (i < count ? key != want[2 * i] || value != want[2 * i + 1] : !logly_is_answer(key, value)) return 0;
        }
        return i >= count;
    }
    // Whether all keys of a dict are exactly str. (The third byte behind the reference count of its keys, up to 3.15.)
    static inline int logly_has_plain_keys(PyObject* dict) {
        const unsigned char* keys = (const unsigned char*)((PyDictObject*)dict)->ma_keys;
        return keys[sizeof(Py_ssize_t) + 2] != 0;
    }
    // Whether `count` names have these values in a dict. A value of NULL: there is no such name.
    static inline int logly_are_names(PyObject* dict, PyObject* const* want, Py_ssize_t count) {
        if (!logly_has_plain_keys(dict)) return 0;  // comparing keys could run Python code
        for (Py_ssize_t i = 0; i < count; i++)
            if (PyDict_GetItemWithError(dict, want[2 * i]) != want[2 * i + 1]) return 0;
        return 1;
    }

    static uint64_t logly_changes = 1;     // goes up with each change that CPython tells of
    #if LOGLY_COMPARES
    static int logly_change_watcher = -1;
    // CPython calls this before a change. It must not fail, and runs no Python code.
    static int logly_dict_changes(PyDict_WatchEvent event, PyObject*, PyObject* key, PyObject* value) {
        if (event != PyDict_EVENT_ADDED || !logly_is_answer(key, value)) logly_changes++;
        return 0;
    }
    // Returns False when other libraries use all the watchers that CPython has.
    static inline int logly_begin_telling() {
        if (logly_change_watcher < 0) logly_change_watcher = PyDict_AddWatcher(logly_dict_changes);
        if (logly_change_watcher < 0) PyErr_Clear();
        return logly_change_watcher >= 0;
    }
    static inline int logly_tell_changes_of(PyObject* dict) {
        if (logly_change_watcher >= 0 && PyDict_Watch(logly_change_watcher, dict) == 0) return 1;
        PyErr_Clear();
        return 0;
    }
    #else
    static inline int logly_begin_telling() { return 0; }
    static inline int logly_tell_changes_of(PyObject*) { return 0; }
    #endif
    #endif
    """
    const bint KNOWS_OBJECTS "LOGLY_KNOWS_OBJECTS"      # constants: the compiler drops what stands behind them
    const bint HAS_VERSIONS "LOGLY_HAS_VERSIONS"
    const bint HAS_TABLE_VERSIONS "LOGLY_HAS_TABLE_VERSIONS"
    const bint COMPARES "LOGLY_COMPARES"
    const uint64_t* dict_version "logly_dict_version"(PyObject* dict_) noexcept
    uint64_t table_version "logly_table_version"(PyObject* dict_) noexcept
    const uint64_t* class_word "logly_class_word"(PyObject* object) noexcept
    const uint64_t* bases_word "logly_bases_word"(PyTypeObject* type_) noexcept
    const uint64_t* dict_word "logly_dict_word"(PyObject* object) noexcept
    const uint64_t* weakref_word "logly_weakref_word"(PyObject* reference) noexcept
    PyObject** values_of "(PyObject**)logly_values"(PyObject* dict_, Py_ssize_t* count) noexcept
    bint are_values "logly_are_values"(PyObject* dict_, PyObject** at, PyObject** want, Py_ssize_t count) noexcept
    bint are_entries "logly_are_entries"(PyObject* dict_, PyObject** want, Py_ssize_t count, bint may_grow) noexcept
    bint are_names "logly_are_names"(PyObject* dict_, PyObject** want, Py_ssize_t count) noexcept
    bint has_plain_keys "logly_has_plain_keys"(PyObject* dict_) noexcept
    bint is_list "PyList_CheckExact"(PyObject* object) noexcept
    uint64_t changes "logly_changes"
    bint begin_telling "logly_begin_telling"() noexcept
    bint tell_changes_of "logly_tell_changes_of"(PyObject* dict_) noexcept
