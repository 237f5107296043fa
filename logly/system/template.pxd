"""Template strings, t"..." of CPython 3.14: which objects are some, and where their attributes are.

There is no public structure of a Template. The descriptors of its attributes say where these are. That is asked once, of the
first template that is logged, and what is found there is compared with what `getattr` gives. Where that differs, `template_parts`
returns False for every template, and its attributes are read by `getattr`.
"""

from cpython.object cimport PyObject

cdef extern from * nogil:
    """
    #ifndef LOGLY_TEMPLATE
    #define LOGLY_TEMPLATE
    #include <Python.h>

    struct LoglyParts {
        PyObject* strings;          // tuple of str, one more than interpolations
        PyObject* interpolations;   // tuple
    };
    struct LoglyInterpolation {
        PyObject* value;
        PyObject* expression;
        PyObject* conversion;       // a str of one letter, or None
        PyObject* spec;
    };

    #if PY_VERSION_HEX >= 0x030E0000
    static PyTypeObject* logly_template = nullptr;       // found by the first one that is logged
    static PyTypeObject* logly_interpolation = nullptr;  // the same; NULL as well where offsets are not what they seem
    static Py_ssize_t logly_offsets[6];

    // Only CPython makes types without Py_TPFLAGS_HEAPTYPE, so a class of the program cannot have this name by chance.
    static inline int logly_is_type(PyTypeObject* type, const char* name) {
        return !(type->tp_flags & Py_TPFLAGS_HEAPTYPE) && strcmp(type->tp_name, name) == 0;
    }
    static inline int logly_is_template(PyObject* value) {
        if (Py_TYPE(value) == logly_template) return 1;
        return logly_template == nullptr && logly_is_type(Py_TYPE(value), "string.templatelib.Template");
    }
    static inline PyObject* logly_at(PyObject* value, int which) {
        return *(PyObject**)((char*)value + logly_offsets[which]);
    }
    // Whether the attribute is a plain pointer in the object; where, is put into `logly_offsets`.
    static inline int logly_find_offset(PyObject* value, const char* name, int which) {
        PyTypeObject* type = Py_TYPE(value);
        PyObject* attributes = PyType_GetDict(type);
        PyObject* descriptor = attributes != nullptr ? PyDict_GetItemString(attributes, name) : nullptr;
        Py_ssize_t offset = 0;
        if (descriptor != nullptr && Py_TYPE(descriptor) == &PyMemberDescr_Type) {
            PyMemberDef* member = ((PyMemberDescrObject*)descriptor)->d_member;
            if (member->type == Py_T_OBJECT_EX || member->type == 6 /* _Py_T_OBJECT */) offset = member->offset;
        }
        Py_XDECREF(attributes);
        if (offset < (Py_ssize_t)sizeof(PyObject) || offset + (Py_ssize_t)sizeof(PyObject*) > type->tp_basicsize) return 0;
        logly_offsets[which] = offset;
        PyObject* known = PyObject_GetAttrString(value, name);
        int is_there = known != nullptr && logly_at(value, which) == known;
        Py_XDECREF(known);
        if (known == nullptr) PyErr_Clear();
        return is_there;
    }
    static inline int logly_find_template(PyObject* value, PyObject* first) {
        static const char* const names[] = {"strings", "interpolations", "value", "expression", "conversion", "format_spec"};
        for (int i = 0; i < 6; i++)
            if (!logly_find_offset(i < 2 ? value : first, names[i], i)) return 0;
        return 1;
    }
    // Finds the offsets by a template with an interpolation. Runs no code of the program.
    static inline void logly_learn_templates(PyObject* value) {
        if (logly_template != nullptr || !logly_is_template(value)) return;
        PyObject* items = PyObject_GetAttrString(value, "interpolations");
        if (items != nullptr && PyTuple_CheckExact(items) && PyTuple_GET_SIZE(items)) {
            PyObject* first = PyTuple_GET_ITEM(items, 0);
            int is_known = logly_is_type(Py_TYPE(first), "string.templatelib.Interpolation") && logly_find_template(value, first);
            logly_interpolation = is_known ? Py_TYPE(first) : nullptr;
            logly_template = Py_TYPE(value);
        }
        Py_XDECREF(items);
        PyErr_Clear();
    }
    static inline int logly_template_parts(PyObject* value, LoglyParts* parts) {
        if (logly_interpolation == nullptr || Py_TYPE(value) != logly_template) return 0;
        parts->strings = logly_at(value, 0);
        parts->interpolations = logly_at(value, 1);
        return 1;
    }
    static inline int logly_read_interpolation(PyObject* value, LoglyInterpolation* out) {
        if (Py_TYPE(value) != logly_interpolation) return 0;
        out->value = logly_at(value, 2);
        out->expression = logly_at(value, 3);
        out->conversion = logly_at(value, 4);
        out->spec = logly_at(value, 5);
        return 1;
    }
    #else
    #define logly_is_template(value) 0
    #define logly_learn_templates(value) ((void)(value))
    #define logly_template_parts(value, parts) ((void)(parts), 0)
    #define logly_read_interpolation(value, out) ((void)(out), 0)
    #endif
    #endif
    """
    ctypedef struct TemplateParts "LoglyParts":
        PyObject* strings
        PyObject* interpolations

    ctypedef struct Interpolation "LoglyInterpolation":
        PyObject* value
        PyObject* expression
        PyObject* conversion
        PyObject* spec

    # Runs nothing, and is false before CPython 3.14.
    bint is_template "logly_is_template"(PyObject* value) noexcept
    bint template_parts "logly_template_parts"(PyObject* value, TemplateParts* parts) noexcept
    bint read_interpolation "logly_read_interpolation"(PyObject* value, Interpolation* out) noexcept

cdef extern from *:
    # Needs the GIL.
    void learn_templates "logly_learn_templates"(PyObject* value) noexcept
