# A record that reaches a served handler by the way of `logging` waits until the flusher has written what was logged before it.
# The wait is in the methods that `logging` calls before it uses a handler.

from cpython.object cimport PyObject

from logly.system.cpython cimport (
    METH_FASTCALL, METH_KEYWORDS, PyCFunction, PyDescr_NewMethod, PyMethodDef, PyTypeObject, Py_DecRef, Py_IncRef,
)

# Of other included files:
#   bridge/handler_rule.pxi: is_idle
#   bridge/logging_calls.pxi: call_function
#   bridge/stamps.pxi: class_dict
#   control/sink_handle.pxi: SinkHandle

cdef extern from *:
    PyObject* call_bound "PyObject_Vectorcall"(
        PyObject* function, PyObject** args, Py_ssize_t count, PyObject* names
    ) except NULL

cdef enum Barrier:
    BARRIER_ACQUIRE = 0
    BARRIER_HANDLE
    BARRIER_FLUSH
    BARRIERS

cdef dict served_by_handler = {}          # id of a handler -> (weak reference to it, what it waits for, its SinkHandle or None)
cdef object barrier_class = None          # the class that has got these methods: StreamHandler
cdef frozenset plain_classes = frozenset()
cdef object base_methods = {}             # the dict of `logging.Handler`
cdef object base_acquire = None           # `Handler.acquire`, as it was made
cdef PyMethodDef barriers[BARRIERS]
cdef PyObject* behind_barrier[BARRIERS]   # owned; the function that was in the class before; NULL: the next class has it

cdef PyObject* pass_barrier(PyObject* self, Barrier which, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    cdef object handler = <object> self
    await_sink(handler)
    if behind_barrier[<int> which] != NULL:
        return call_function(behind_barrier[<int> which], self, args, count, names)
    method = getattr(super(barrier_class, handler), BARRIER_NAMES[<int> which])
    return call_bound(<PyObject*> method, args, count, names)


cdef bint await_sink(object handler) except -1:
    cdef tuple served
    if not served_by_handler:
        return True
    served = served_by_handler.get(id(handler))
    if served is not None and served[0]() is handler:
        if served[2] is None or not is_idle(<SinkHandle> served[2]):
            served[1].drain()
    return True


cdef PyObject* acquire_in_order(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    cdef object handler = <object> self
    if not count and type(handler) in plain_classes and (<dict> base_methods).get("acquire") is base_acquire:
        # This is what `Handler.acquire` does, without the call of it.
        await_sink(handler)
        lock = handler.lock
        if lock:
            lock.acquire()
        Py_IncRef(<PyObject*> None)
        return <PyObject*> None
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
    """The method of this name for a class of handlers. It waits for the handler's sink, then does what the class did before.

    It is compiled, so no frame of its own is seen.
    """
    global barrier_class
    cdef int i = BARRIER_NAMES.index(name)
    cdef PyObject* before = behind_barrier[i]
    cdef object function = vars(cls).get(name)
    barrier_class = cls
    behind_barrier[i] = NULL
    if function is not None:
        Py_IncRef(<PyObject*> function)
        behind_barrier[i] = <PyObject*> function
    if before != NULL:
        Py_DecRef(before)
    return PyDescr_NewMethod(<PyTypeObject*> cls, &barriers[i])


def know_acquire(type base not None, acquire, plain):
    """Sets what the fast form of `acquire` compares with.

    `acquire` is the method of `base` as it was made. The classes of `plain` inherit it behind the barrier's, so for their objects
    the barrier does its work itself, as long as `base` has it.
    """
    global base_methods, base_acquire, plain_classes
    base_methods, base_acquire, plain_classes = class_dict(<PyTypeObject*> base), acquire, frozenset(plain)


def serve_handler(handler not None, reference, sink not None, SinkHandle handle=None):
    """From now on the handler waits in `sink.drain()` for what was logged before, each time before it is used.

    With `handle`, the wait is left out if the sink is idle.
    """
    served_by_handler[id(handler)] = (reference, sink, handle)


def forget_served(number, reference, sink=None):
    """The handler with this id waits for no sink any more, if `reference` is what `serve_handler` was called with.

    `sink`: only if it is this one that the handler waits for.
    """
    found = served_by_handler.get(number)
    if found is not None and (<tuple> found)[0] is reference and (sink is None or (<tuple> found)[1] is sink):
        del served_by_handler[number]
