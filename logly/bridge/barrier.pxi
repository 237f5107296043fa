# What comes to a served handler in `logging`'s own way waits until the flusher has written what came before it.

from cpython.object cimport PyObject

from logly.system.cpython cimport METH_NOARGS, PyCFunction, PyDescr_NewMethod, PyMethodDef, PyTypeObject, Py_IncRef

cdef dict served_by_handler = {}          # id of a handler -> (weak reference to it, its sink)
cdef object acquire_class = None          # the class that has got a method of its own


cdef PyObject* acquire_in_order(PyObject* self, PyObject* _) except NULL:
    cdef object handler = <object> self
    cdef object served
    if served_by_handler:
        served = served_by_handler.get(id(handler))
        if served is not None and (<tuple> served)[0]() is handler:
            (<tuple> served)[1].drain()
    super(acquire_class, handler).acquire()
    Py_IncRef(<PyObject*> None)
    return <PyObject*> None


cdef PyMethodDef acquire_definition = PyMethodDef(
    b"acquire", <PyCFunction> <void*> acquire_in_order, METH_NOARGS, b"acquire($self)\n--\n\nAcquire the I/O thread lock.\n"
)


def acquire_method(type cls not None):
    """`acquire` for a class of handlers: it waits for the handler's sink, and then calls the next class's. It adds no frame."""
    global acquire_class
    acquire_class = cls
    return PyDescr_NewMethod(<PyTypeObject*> cls, &acquire_definition)


def serve_handler(handler not None, reference, sink not None):
    """From now on the handler's lock is acquired only when `sink.drain()` has waited for what was logged before."""
    served_by_handler[id(handler)] = (reference, sink)


def forget_served(number, reference):
    """The handler with this id, to which this is the reference, waits for no sink any more."""
    found = served_by_handler.get(number)
    if found is not None and (<tuple> found)[0] is reference:
        del served_by_handler[number]
