"""What the hot path asks of CPython: type checks, the bits of a str or an int, the calling frame.

All of this reads C structures and can neither run Python code nor allocate nor raise. The exceptions are `frame_of` and
`namespace_keep`, which only the careful way calls. What differs between versions of CPython is in this file alone.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef extern from * nogil:
    """
    #ifndef LOGLY_PYTHON
    #define LOGLY_PYTHON
    #include <Python.h>
    #include <atomic>
    #include <cstddef>
    #include <cstdint>

    #define LOGLY_NO_KEY (~(uint64_t)0)
    #if PY_VERSION_HEX < 0x030C0000
    #define LOGLY_KNOWS_GLOBALS 1
    // 3.11 exports no accessor for the frame that is running without making a frame object of it. That
    // version is frozen, so its layout (Include/internal/pycore_frame.h) is repeated here.
    struct logly_frame_311 {
        PyFunctionObject* f_func; PyObject* f_globals; PyObject* f_builtins; PyObject* f_locals;
        PyCodeObject* f_code; PyFrameObject* frame_obj; struct logly_frame_311* previous;
        _Py_CODEUNIT* prev_instr;
    };
    static inline PyObject* logly_caller(PyThreadState* thread, int32_t* last_instruction, PyObject** globals) {
        logly_frame_311* frame = reinterpret_cast<logly_frame_311*>(thread->cframe->current_frame);
        if (frame == nullptr) return nullptr;
        PyCodeObject* code = frame->f_code;
        *globals = frame->f_globals;
        *last_instruction = (int32_t)((char*)frame->prev_instr - (char*)_PyCode_CODE(code));
        return (PyObject*)code;
    }
    #else
    #if PY_VERSION_HEX < 0x030D0000
    #define LOGLY_CURRENT_FRAME(thread) ((thread)->cframe->current_frame)
    #else
    #define LOGLY_CURRENT_FRAME(thread) ((thread)->current_frame)
    #endif
    // f_globals is the fourth word of _PyInterpreterFrame in these versions, which are frozen. For later versions
    // KNOWS_GLOBALS is 0 until somebody has checked them: a code object then counts as code of the module that it ran in first.
    #if PY_VERSION_HEX < 0x03100000
    #define LOGLY_KNOWS_GLOBALS 1
    #else
    #define LOGLY_KNOWS_GLOBALS 0
    #endif
    static inline PyObject* logly_frame_code(struct _PyInterpreterFrame* frame) {
    #if PY_VERSION_HEX < 0x03100000
        // The first member, in versions that are frozen; since 3.14 its low bits are a tag. The accessor returns a new
        // reference, and without a GIL threads that log from the same function would contend for its count.
        return (PyObject*)(*(uintptr_t*)frame & ~(uintptr_t)3);
    #else
        PyObject* code = PyUnstable_InterpreterFrame_GetCode(frame);
        Py_XDECREF(code);  // the running frame keeps it alive
        return code;
    #endif
    }
    static inline PyObject* logly_caller(PyThreadState* thread, int32_t* last_instruction, PyObject** globals) {
        struct _PyInterpreterFrame* frame = LOGLY_CURRENT_FRAME(thread);
        if (frame == nullptr) return nullptr;
        *globals = LOGLY_KNOWS_GLOBALS ? ((PyObject**)frame)[3] : nullptr;
        // C code may call a log method while one of the interpreter's own frames is on top. Such a frame has no code object.
        PyObject* code = logly_frame_code(frame);
        if (code == nullptr || !PyCode_Check(code)) return nullptr;
        *last_instruction = PyUnstable_InterpreterFrame_GetLasti(frame);
        return code;
    }
    #endif

    // The same instruction for each call from one place. In 3.11 a call is two instructions, PRECALL and CALL, and the first of
    // them makes the call once it is specialized.
    #if PY_VERSION_HEX < 0x030C0000
    #include <opcode.h>
    static inline int32_t logly_call_instruction(PyObject* code, int32_t instruction) {
        if (instruction < 0) return instruction;
        switch (((unsigned char*)_PyCode_CODE((PyCodeObject*)code))[instruction]) {
        case PRECALL: case PRECALL_ADAPTIVE: case PRECALL_BOUND_METHOD: case PRECALL_METHOD_DESCRIPTOR_FAST_WITH_KEYWORDS:
        case PRECALL_NO_KW_METHOD_DESCRIPTOR_FAST: case PRECALL_NO_KW_METHOD_DESCRIPTOR_NOARGS:
        case PRECALL_NO_KW_METHOD_DESCRIPTOR_O: case PRECALL_PYFUNC: case PRECALL_BUILTIN_FAST_WITH_KEYWORDS:
        case PRECALL_NO_KW_BUILTIN_FAST: case PRECALL_NO_KW_BUILTIN_O: case PRECALL_BUILTIN_CLASS:
            return instruction + 4;  // PRECALL and its one cache entry
        default:
            return instruction;
        }
    }
    #else
    #define logly_call_instruction(code, instruction) (instruction)
    #endif

    // The key of a namespace (a dict of globals with one `__name__` in it) tells it from any other for the price of one load.
    // The address of the dict is not enough: the next dict may get the same address, and a dict may be given another name.
    // Up to 3.13 the key is the version of the dict's contents: no two dicts ever share one, and each assignment to a global
    // changes it. From 3.14 on, and without a GIL, the key is the address for as long as the dict is watched, and the
    // registry is told when the key is no longer valid.
    #ifndef LOGLY_WATCHES
    #if defined(Py_GIL_DISABLED) || PY_VERSION_HEX >= 0x030E0000
    #define LOGLY_WATCHES LOGLY_KNOWS_GLOBALS
    #else
    #define LOGLY_WATCHES 0
    #endif
    #endif
    static inline uint64_t logly_namespace_key(PyObject* globals) {
    #if LOGLY_WATCHES || !LOGLY_KNOWS_GLOBALS
        return (uint64_t)(uintptr_t)globals;
    #else
        if (!PyDict_CheckExact(globals)) return LOGLY_NO_KEY;
        // 3.12 and 3.13 still have the version there; only its name is deprecated.
        const char* tag = (const char*)globals + offsetof(PyDictObject, ma_keys) - sizeof(uint64_t);
        return *(const uint64_t*)tag;
    #endif
    }

    static PyObject* logly_name_key = nullptr;   // "__name__", interned
    // Stores the namespace's `__name__` (borrowed, or NULL) at `name`. Returns False when looking it up could run Python code.
    // Comparing keys runs none where all keys are exactly str, which the third byte behind the reference count says in versions
    // up to 3.15. It is always False without a GIL: another thread may give the dict new keys at any time and free these.
    static inline int logly_name_in(PyObject* globals, PyObject** name) {
    #if defined(Py_GIL_DISABLED) || !LOGLY_KNOWS_GLOBALS
        return 0;
    #else
        if (logly_name_key == nullptr || !PyDict_Check(globals)) return 0;
        const unsigned char* keys = (const unsigned char*)((PyDictObject*)globals)->ma_keys;
        if (keys[sizeof(Py_ssize_t) + 2] == 0) return 0;
        *name = PyDict_GetItemWithError(globals, logly_name_key);
        return 1;
    #endif
    }

    static inline int logly_finalizes() {
    #if PY_VERSION_HEX >= 0x030D0000
        return Py_IsFinalizing();
    #else
        return _Py_IsFinalizing();
    #endif
    }

    #if LOGLY_WATCHES
    static void (*logly_namespace_over)(uint64_t key) = nullptr;
    static int logly_watcher = -1;
    static inline int logly_is_name_key(PyObject* key) {
        if (key == logly_name_key) return 1;
        // A key that is not exactly a str may still compare equal.
        return !PyUnicode_CheckExact(key) || (PyUnicode_GET_LENGTH(key) == 8 && PyUnicode_Compare(key, logly_name_key) == 0);
    }
    // CPython calls this before each change of a global of a watched module; without a GIL it holds the dict's lock.
    static int logly_namespace_event(PyDict_WatchEvent event, PyObject* dict, PyObject* key, PyObject* value) {
        if (event == PyDict_EVENT_ADDED || event == PyDict_EVENT_MODIFIED || event == PyDict_EVENT_DELETED) {
            if (!logly_is_name_key(key)) return 0;
            // The ending interpreter sets the globals of modules to None. Late records keep the name.
            if (value == Py_None && logly_finalizes()) return 0;
        }
        logly_namespace_over((uint64_t)(uintptr_t)dict);
        return 0;
    }
    #endif

    // Called once. `over` is called with the key of each namespace whose key is no longer valid. It must neither take a lock
    // nor run Python code.
    static inline void logly_namespaces_begin(PyObject* name_key, void (*over)(uint64_t key)) {
        logly_name_key = name_key;
    #if LOGLY_WATCHES
        logly_namespace_over = over;
        logly_watcher = PyDict_AddWatcher(logly_namespace_event);
        if (logly_watcher < 0) PyErr_Clear();  // other libraries use all the watchers that CPython has
    #endif
    }

    // Stores the key of the namespace `globals`, whose `__name__` is `name`, at `kept_at`, if it has one. Only the dicts of
    // imported modules are watched, because these live long: a dict that a program makes for one exec() soon dies.
    static inline void logly_namespace_keep(PyObject* globals, PyObject* name, uint64_t* kept_at) {
        std::atomic<uint64_t>* kept = reinterpret_cast<std::atomic<uint64_t>*>(kept_at);
    #if LOGLY_WATCHES
        // PyImport_GetModule would wait until the module is imported, and its import may wait for the thread that logs.
        PyObject* modules = logly_watcher >= 0 ? PySys_GetObject("modules") : nullptr;
        PyObject* module = nullptr;
        if (modules == nullptr || !PyDict_Check(modules)) return;
        if (PyDict_GetItemRef(modules, name, &module) < 0) PyErr_Clear();
        if (module == nullptr) return;
        int is_its_own = PyModule_Check(module) && PyModule_GetDict(module) == globals;
        Py_DECREF(module);
        if (!is_its_own) return;
        PyObject* now;
    #ifdef Py_GIL_DISABLED
        Py_BEGIN_CRITICAL_SECTION(globals);  // a thread that changes the name holds this lock, also while it tells the watcher
    #endif
        if (PyDict_Watch(logly_watcher, globals) == 0) {
            kept->store((uint64_t)(uintptr_t)globals, std::memory_order_relaxed);
            now = PyDict_GetItemWithError(globals, logly_name_key);
            if (now != name) kept->store(0, std::memory_order_relaxed);
        } else PyErr_Clear();
    #ifdef Py_GIL_DISABLED
        Py_END_CRITICAL_SECTION();
    #endif
    #elif LOGLY_KNOWS_GLOBALS
        PyObject* now = nullptr;
        uint64_t key = logly_namespace_key(globals);
        if (key != LOGLY_NO_KEY && logly_name_in(globals, &now) && now == name) kept->store(key, std::memory_order_relaxed);
    #endif
    }

    // A new reference to the frame object of the running function, or NULL. CPython may have to make the object, so only the
    // careful way calls this. The frame on top may be one of the interpreter's own, when C code calls a log method (a weakref's
    // callback, for one) while a function returns to C code, or before a function's first instruction. Code asking for frame 0 of
    // the stack would take that frame for a function's and read words that were never filled in. This call skips such frames, as
    // `f_back` does.
    static inline PyObject* logly_frame_of(PyThreadState* thread) { return (PyObject*)PyThreadState_GetFrame(thread); }

    static inline uint64_t logly_thread_ident(PyThreadState* thread) { return (uint64_t)thread->thread_id; }

    // `value` must be exactly an int. Returns 1 when it fits int64, 2 when it fits only uint64 (the bits are in *out), else 0.
    static inline int logly_int_bits(PyObject* value, int64_t* out) {
    #if PY_VERSION_HEX >= 0x030C0000
        if (PyUnstable_Long_IsCompact((PyLongObject*)value)) {
            *out = (int64_t)PyUnstable_Long_CompactValue((PyLongObject*)value);
            return 1;
        }
    #else
        Py_ssize_t size = Py_SIZE(value);
        if (size >= -1 && size <= 1) {
            *out = size * (int64_t)((PyLongObject*)value)->ob_digit[0];
            if (size == 0) *out = 0;
            return 1;
        }
    #endif
        int overflow = 0;
        long long small = PyLong_AsLongLongAndOverflow(value, &overflow);
        if (overflow == 0) { *out = small; return 1; }
        // PyLong_AsUnsignedLongLong is not used: on overflow it makes an exception, which may run the garbage
        // collector, and with it somebody's __del__, in the middle of a record.
        if (overflow > 0 && PYLONG_BITS_IN_DIGIT == 30) {
    #if PY_VERSION_HEX >= 0x030E0000
            PyLongExport number;
            if (PyLong_Export(value, &number) < 0) { PyErr_Clear(); return 0; }  // an int is always exported
            uint64_t digits = (uint64_t)number.ndigits;
            const digit* digit_of = (const digit*)number.digits;
            PyLong_FreeExport(&number);  // `value` keeps the digits
    #elif PY_VERSION_HEX >= 0x030C0000
            const PyLongObject* number = (PyLongObject*)value;
            uint64_t digits = number->long_value.lv_tag >> 3;
            const digit* digit_of = number->long_value.ob_digit;
    #else
            uint64_t digits = (uint64_t)Py_SIZE(value);
            const digit* digit_of = ((PyLongObject*)value)->ob_digit;
    #endif
            if (digits == 3 && digit_of[2] < 16) {
                *out = (int64_t)((uint64_t)digit_of[0] | (uint64_t)digit_of[1] << 30 | (uint64_t)digit_of[2] << 60);
                return 2;
            }
        }
        return 0;
    }

    // Makes a thread state for the calling thread, which has none; NULL when there is no memory. Needs no GIL.
    #if PY_VERSION_HEX < 0x030C0000
    extern "C" PyAPI_FUNC(void) _PyThreadState_SetCurrent(PyThreadState* state);
    static inline PyThreadState* logly_new_thread_state(PyInterpreterState* interpreter) {
        // These two calls are what PyThreadState_New does in 3.11, but that one crashes when there is no memory.
        PyThreadState* state = _PyThreadState_Prealloc(interpreter);
        if (state != nullptr) _PyThreadState_SetCurrent(state);
        return state;
    }
    #else
    #define logly_new_thread_state PyThreadState_New
    #endif

    // A number that changes whenever the class or one of its bases is changed, and that no other class ever has; 0: it has none.
    static inline uint32_t logly_type_version(PyTypeObject* type) {
    #if PY_VERSION_HEX < 0x030C0000
        if (!(type->tp_flags & Py_TPFLAGS_VALID_VERSION_TAG)) return 0;
    #endif
        return (uint32_t)type->tp_version_tag;
    }
    // The class's qualified name, borrowed; NULL for a class that is not made in Python, whose name does not change. In some
    // versions of CPython another name does not change the class's version.
    static inline PyObject* logly_qualified_name(PyTypeObject* type) {
        return type->tp_flags & Py_TPFLAGS_HEAPTYPE ? ((PyHeapTypeObject*)type)->ht_qualname : nullptr;
    }
    // Whether attributes of the type's objects are found without any code of the type's own, and an object is always true.
    static inline int logly_is_simple_type(PyTypeObject* type) {
        if (type->tp_getattro != PyObject_GenericGetAttr) return 0;
        if (type->tp_as_number != nullptr && type->tp_as_number->nb_bool != nullptr) return 0;
        if (type->tp_as_mapping != nullptr && type->tp_as_mapping->mp_length != nullptr) return 0;
        return type->tp_as_sequence == nullptr || type->tp_as_sequence->sq_length == nullptr;
    }
    // The code of a traceback's entry (borrowed from its frame), and its instruction and line as one number.
    static inline PyObject* logly_traced_code(PyObject* entry, uint64_t* where) {
        PyTracebackObject* trace = (PyTracebackObject*)entry;
        PyObject* code = (PyObject*)PyFrame_GetCode(trace->tb_frame);
        *where = (uint64_t)(uint32_t)(trace->tb_lasti + 1) | (uint64_t)(uint32_t)trace->tb_lineno << 32;
        Py_DECREF(code);
        return code;
    }
    // Where the instruction of a traceback's entry is in the source, 0 or -1 where that is unknown: lines, columns in bytes.
    static inline int logly_traced_source(PyObject* entry, int* line, int* start, int* last_line, int* end) {
        PyTracebackObject* trace = (PyTracebackObject*)entry;
        PyCodeObject* code = PyFrame_GetCode(trace->tb_frame);
        int is_known = trace->tb_lasti >= 0 && PyCode_Addr2Location(code, trace->tb_lasti, line, start, last_line, end);
        Py_DECREF(code);
        return is_known;
    }
    static inline PyObject* logly_next_traced(PyObject* entry) { return (PyObject*)((PyTracebackObject*)entry)->tb_next; }
    // Whether an exception has a cause or a context, where its class has not changed what these mean.
    static inline int logly_is_alone(PyObject* error) {
        PyBaseExceptionObject* one = (PyBaseExceptionObject*)error;
        return one->cause == nullptr && (one->context == nullptr || one->suppress_context);
    }
    static inline int logly_suppresses_context(PyObject* error) { return ((PyBaseExceptionObject*)error)->suppress_context; }
    static inline PyObject* logly_attributes_of(PyObject* error) { return ((PyBaseExceptionObject*)error)->dict; }

    // Whether `value` is one of the constants of the code that runs now. Those of a literal in the calling code are.
    static inline int logly_is_constant(PyThreadState* thread, PyObject* value) {
        int32_t instruction;
        PyObject* globals;
        PyObject* code = logly_caller(thread, &instruction, &globals);
        if (code == nullptr) return 0;
        PyObject* constants = ((PyCodeObject*)code)->co_consts;
        for (Py_ssize_t i = PyTuple_GET_SIZE(constants); i-- > 0;)
            if (PyTuple_GET_ITEM(constants, i) == value) return 1;
        return 0;
    }

    // What a weak reference refers to, borrowed: to be compared with an object that is held. None where that is gone.
    static inline PyObject* logly_referent_of(PyObject* reference) {
    #ifdef Py_GIL_DISABLED
        return (PyObject*)_Py_atomic_load_ptr_relaxed(&((PyWeakReference*)reference)->wr_object);
    #else
        return ((PyWeakReference*)reference)->wr_object;
    #endif
    }
    // A new reference to a dict's value, or NULL: it has none, or an error is set. Without a GIL another thread may take the
    // value out of the dict at any time.
    static inline PyObject* logly_dict_value(PyObject* dict, PyObject* key) {
    #ifdef Py_GIL_DISABLED
        PyObject* value = nullptr;
        PyDict_GetItemRef(dict, key, &value);
        return value;
    #else
        return Py_XNewRef(PyDict_GetItemWithError(dict, key));
    #endif
    }
    static inline PyObject** logly_tuple_items(PyObject* tuple) { return &PyTuple_GET_ITEM(tuple, 0); }
    // 0 for ASCII, else the bytes of a code unit (1, 2, 4).
    static inline int logly_text_kind(PyObject* text) {
        return PyUnicode_IS_ASCII(text) ? 0 : (int)PyUnicode_KIND(text);
    }
    #endif
    """
    ctypedef struct PyThreadState
    ctypedef struct PyTypeObject
    ctypedef struct PyInterpreterState
    PyThreadState* PyThreadState_Get() noexcept
    PyObject* frame_of "logly_frame_of"(PyThreadState* thread) noexcept
    PyObject* caller_of "logly_caller"(PyThreadState* thread, int32_t* last_instruction, PyObject** globals) noexcept
    int32_t call_instruction "logly_call_instruction"(PyObject* code, int32_t instruction) noexcept
    PyThreadState* new_thread_state "logly_new_thread_state"(PyInterpreterState* interpreter) noexcept
    bint KNOWS_GLOBALS "LOGLY_KNOWS_GLOBALS"
    bint KEY_IS_VERSION "!LOGLY_WATCHES"
    uint64_t NO_KEY "LOGLY_NO_KEY"
    uint64_t namespace_key "logly_namespace_key"(PyObject* globals) noexcept
    bint name_in "logly_name_in"(PyObject* globals, PyObject** name) noexcept
    void namespaces_begin "logly_namespaces_begin"(PyObject* name_key, void (*over)(uint64_t key) noexcept nogil) noexcept
    void namespace_keep "logly_namespace_keep"(PyObject* globals, PyObject* name, uint64_t* kept) noexcept
    bint interpreter_ends "logly_finalizes"() noexcept
    uint64_t thread_ident "logly_thread_ident"(PyThreadState* thread) noexcept
    int int_bits "logly_int_bits"(PyObject* value, int64_t* out) noexcept
    uint32_t type_version "logly_type_version"(PyTypeObject* type_) noexcept
    PyObject* qualified_name "logly_qualified_name"(PyTypeObject* type_) noexcept
    bint is_exception "PyExceptionInstance_Check"(PyObject* value) noexcept
    bint is_trace "PyTraceBack_Check"(PyObject* value) noexcept
    bint is_simple_type "logly_is_simple_type"(PyTypeObject* type_) noexcept
    PyObject* traced_code "logly_traced_code"(PyObject* entry, uint64_t* where) noexcept
    bint traced_source "logly_traced_source"(PyObject* entry, int* line, int* start, int* last_line, int* end) noexcept
    PyObject* next_traced "logly_next_traced"(PyObject* entry) noexcept
    bint is_alone "logly_is_alone"(PyObject* error) noexcept
    # New references, or NULL: without a GIL another thread may raise the same exception meanwhile.
    PyObject* cause_of "PyException_GetCause"(PyObject* error) noexcept
    PyObject* context_of "PyException_GetContext"(PyObject* error) noexcept
    PyObject* trace_of "PyException_GetTraceback"(PyObject* error) noexcept
    bint suppresses_context "logly_suppresses_context"(PyObject* error) noexcept
    PyObject* attributes_of "logly_attributes_of"(PyObject* error) noexcept
    bint is_constant "logly_is_constant"(PyThreadState* thread, PyObject* value) noexcept
    PyObject* referent_of "logly_referent_of"(PyObject* reference) noexcept
    int text_kind_of "logly_text_kind"(PyObject* text) noexcept
    void* text_data "PyUnicode_DATA"(PyObject* text) noexcept
    Py_ssize_t text_length_of "PyUnicode_GET_LENGTH"(PyObject* text) noexcept
    bint is_str "PyUnicode_CheckExact"(PyObject* value) noexcept
    bint is_int "PyLong_CheckExact"(PyObject* value) noexcept
    bint is_float "PyFloat_CheckExact"(PyObject* value) noexcept
    bint is_bytes "PyBytes_CheckExact"(PyObject* value) noexcept
    double float_bits "PyFloat_AS_DOUBLE"(PyObject* value) noexcept
    char* bytes_data "PyBytes_AS_STRING"(PyObject* value) noexcept
    Py_ssize_t bytes_length "PyBytes_GET_SIZE"(PyObject* value) noexcept
    PyObject** tuple_items "logly_tuple_items"(PyObject* tuple_) noexcept
    PyObject* tuple_item "PyTuple_GET_ITEM"(PyObject* tuple_, Py_ssize_t i) noexcept
    Py_ssize_t tuple_length "PyTuple_GET_SIZE"(PyObject* tuple_) noexcept
    PyObject* list_item "PyList_GET_ITEM"(PyObject* list_, Py_ssize_t i) noexcept
    Py_ssize_t reference_count "Py_REFCNT"(PyObject* value) noexcept
    PyObject* PY_NONE "Py_None"
    PyObject* PY_TRUE "Py_True"
    PyObject* PY_FALSE "Py_False"

cdef extern from *:
    ctypedef struct PyTypeObject
    object PyDescr_NewMethod(PyTypeObject* type_, PyMethodDef* definition)
    int PyErr_CheckSignals() except -1
    unsigned long PyThread_get_thread_ident() noexcept nogil
    int PyContextVar_Get(PyObject* variable, PyObject* otherwise, PyObject** value) noexcept
    bint is_context_variable "PyContextVar_CheckExact"(PyObject* value) noexcept
    PyObject* PyWeakref_NewRef(PyObject* value, PyObject* callback) noexcept
    void PyErr_Clear() noexcept
    PyObject* dict_value "logly_dict_value"(PyObject* dict_, PyObject* key) except? NULL
    void Py_IncRef "Py_INCREF"(PyObject*) noexcept nogil
    void Py_DecRef "Py_DECREF"(PyObject*) noexcept
    ctypedef PyObject* (*PyCFunction)(PyObject*, PyObject*) noexcept
    struct PyMethodDef:
        const char* ml_name
        PyCFunction ml_meth
        int ml_flags
        const char* ml_doc
    object PyCFunction_New(PyMethodDef* definition, object self)
    int METH_FASTCALL
    int METH_O
    int METH_NOARGS
    int METH_KEYWORDS
