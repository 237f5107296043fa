# What comes to a served handler in `logging`'s own way waits until the flusher has written what came before it.

from cpython.object cimport PyObject

from logly.flusher.state cimport Engine, engine_committed, engine_position, engine_unlock
from logly.system.cpython cimport (
    METH_FASTCALL, METH_KEYWORDS, PyCFunction, PyDescr_NewMethod, PyMethodDef, PyTypeObject, Py_DecRef, Py_IncRef,
)
from logly.system.lock cimport lock_try

# Of other included files:
#   bridge/logging_calls.pxi: call_function
#   control/core.pxi: Core

cdef extern from *:
    PyObject* call_bound "PyObject_Vectorcall"(
        PyObject* function, PyObject** args, Py_ssize_t count, PyObject* names
    ) except NULL

cdef enum Barrier:
    BARRIER_ACQUIRE = 0
    BARRIER_HANDLE
    BARRIER_FLUSH
    BARRIERS

cdef dict served_by_handler = {}          # id of a handler -> (weak reference to it, its sink)
cdef object barrier_class = None          # the class that has got methods of its own
cdef PyMethodDef barriers[BARRIERS]
cdef PyObject* passed[BARRIERS]           # owned; the function that was there before; NULL: the next class's

cdef PyObject* pass_barrier(PyObject* self, Barrier which, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    cdef object handler = <object> self
    cdef object served
    if served_by_handler:
        served = served_by_handler.get(id(handler))
        if served is not None and (<tuple> served)[0]() is handler:
            (<tuple> served)[1].drain()
    if passed[<int> which] != NULL:
        return call_function(passed[<int> which], self, args, count, names)
    method = getattr(super(barrier_class, handler), BARRIER_NAMES[<int> which])
    return call_bound(<PyObject*> method, args, count, names)


cdef PyObject* acquire_in_order(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return pass_barrier(self, BARRIER_ACQUIRE, args, count, names)


cdef PyObject* handle_in_order(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return pass_barrier(self, BARRIER_HANDLE, args, count, names)


cdef PyObject* flush_in_order(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return pass_barrier(self, BARRIER_FLUSH, args, count, names)


cdef void define_barrier(int i, const char* name, void* function, const char* doc) noexcept:
    barriers[i].ml_name = name
    barriers[i].ml_meth = <PyCFunction> function
    barriers[i].ml_flags = METH_FASTCALL | METH_KEYWORDS
    barriers[i].ml_doc = doc


cdef list BARRIER_NAMES = ["acquire", "handle", "flush"]

define_barrier(BARRIER_ACQUIRE, b"acquire", <void*> acquire_in_order, b"acquire($self)\n--\n\nAcquire the I/O thread lock.\n")
define_barrier(
    BARRIER_HANDLE, b"handle", <void*> handle_in_order,
    b"handle($self, record)\n--\n\nConditionally emit the specified logging record.\n",
)
define_barrier(BARRIER_FLUSH, b"flush", <void*> flush_in_order, b"flush($self)\n--\n\nFlush the stream.\n")


def barrier_method(type cls not None, str name not None):
    """The method of this name for a class of handlers: it waits for the handler's sink, and goes on as before. It adds no frame."""
    global barrier_class
    cdef int i = BARRIER_NAMES.index(name)
    cdef PyObject* before = passed[i]
    cdef object function = vars(cls).get(name)
    barrier_class = cls
    passed[i] = NULL
    if function is not None:
        Py_IncRef(<PyObject*> function)
        passed[i] = <PyObject*> function
    if before != NULL:
        Py_DecRef(before)
    return PyDescr_NewMethod(<PyTypeObject*> cls, &barriers[i])


def serve_handler(handler, reference, sink):
    """From now on the handler does nothing until its sink has written what it got before. `sink`: None: no more."""
    if sink is None:
        served_by_handler.pop(id(handler), None)
    else:
        served_by_handler[id(handler)] = (reference, sink)


def is_settled(Core core not None):
    """Whether every sink of the engine has written all that was logged. False where that is not known at once."""
    cdef Engine* engine = core.engine
    cdef bint settled
    if engine_committed(engine) != engine.books.drained or not lock_try(&engine.lock):
        return False
    settled = engine_position(engine) == engine_committed(engine)
    engine_unlock(engine)
    return settled
