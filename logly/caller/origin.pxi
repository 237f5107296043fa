# Where a record was made, found the careful way: its call site, thread, process and time.

import threading

from logly.errors import show

from cpython.float cimport PyFloat_AS_DOUBLE
from cpython.object cimport PyObject
from libc.math cimport floor, rint
from libc.stdint cimport INT32_MAX, int64_t, uint32_t, uint64_t

from logly.caller.encode cimport Origin
from logly.registry.call_site cimport site_of_caller
from logly.ring.gate cimport NEED_SITE
from logly.system.clock cimport clock_wall_ns
from logly.system.cpython cimport PyThreadState_Get, PyThread_get_thread_ident, Py_DecRef, frame_of

# Of other included files:
#   caller/gather.pxi: asks_program, tell_source
#   control/core.pxi: Core
#   registry/retired.pxi: Pins, pin_site
#   registry/sites.pxi: UNKNOWN_LOCATION, describe_location, location_of, register_site, site_table

cdef int64_t SAME_TIME_NS = 1_000_000

cdef int64_t LAST_SECOND = 9_200_000_000  # after 1970: nanoseconds are held in 64 bits


cdef Origin origin_of(Core core, object thread, object process, object created) except *:
    """The origin that a record of `logging` names. A thread or process that is no number (`logging.logThreads` is off) is
    unknown, or is the calling one.

    `created` is kept if the record was made elsewhere or a while ago. A record that was made here and now has the time of the
    call, which is more exact and takes 8 bytes less.
    """
    cdef Origin origin
    origin.process = word_of(process, core.intake.process)
    if origin.process == core.intake.process:
        origin.process = 0
    origin.thread = word_of(thread, 0 if origin.process else PyThread_get_thread_ident())
    origin.time_ns = 0
    origin.has_time = seconds_to_ns(created, &origin.time_ns)
    if origin.has_time and origin.process == 0 and origin.thread == <uint64_t> PyThread_get_thread_ident():
        origin.has_time = not -SAME_TIME_NS <= clock_wall_ns() - origin.time_ns <= SAME_TIME_NS
    return origin


cdef bint seconds_to_ns(object seconds, int64_t* ns) except -1:
    """Converts to nanoseconds, rounded to microseconds as in `datetime.fromtimestamp`: a float of today's time is no finer.

    Returns False when it is no number, or outside the years 1678 to 2261.
    """
    cdef double value, whole
    if isinstance(seconds, float):
        value = PyFloat_AS_DOUBLE(seconds)
    elif type(seconds) is int and -LAST_SECOND < seconds < LAST_SECOND:
        value = seconds
    else:
        return False
    if not -LAST_SECOND < value < LAST_SECOND:
        return False
    whole = floor(value)
    ns[0] = <int64_t> whole * 1_000_000_000 + <int64_t> rint((value - whole) * 1e6) * 1000
    return True


cdef bint ask_time(Core core, Origin* origin) except -1:
    """The origin of a record of this thread with the time that `time_source` gives. False: it has failed, which is reported,
    or this record is logged by code of the program that a log call runs, such as `time_source` itself.
    """
    global asks_program
    cdef object trouble = None
    if asks_program:
        return False
    origin.process = 0
    origin.thread = PyThread_get_thread_ident()
    origin.has_time = True
    asks_program += 1
    try:
        value = core.time_source()
        if not isinstance(value, int):
            raise TypeError(f"time_source gave {show(value)}, which is no int: nanoseconds since 1970")
        origin.time_ns = value
    except RecursionError:
        raise
    except Exception as error:
        trouble = error
    finally:
        asks_program -= 1
    if trouble is not None:
        tell_source(core, trouble, "time_source")
    return trouble is None


cdef uint64_t word_of(object value, uint64_t otherwise) except *:
    return value if type(value) is int and 0 <= value < (1 << 64) else otherwise


cdef int64_t line_number(object value) noexcept:
    """The line number of a call site that the program gives, or 0 when it is not one: the record is made anyway."""
    return value if type(value) is int and 0 <= value <= INT32_MAX else 0


cdef object safe_site(uint32_t needs, object stacklevel, object frame, Pins* pins):
    try:
        return careful_site(needs, stacklevel, frame, pins)
    except (RecursionError, MemoryError):
        raise
    except Exception:
        pass
    return UNKNOWN_LOCATION  # the interpreter is ending and has cleared this module


cdef object careful_site(uint32_t needs, object stacklevel, object frame, Pins* pins):
    """The call site's number, or (module, function, path, line) if it has none, or None if no site is wanted."""
    cdef uint32_t number
    if not needs & NEED_SITE:
        return None
    if type(frame) is tuple:
        return frame  # the call site as `logging` gave it: see stdlib.py
    if frame is None and type(stacklevel) is int and stacklevel <= 1:
        number = site_of_caller(&site_table)
        if number:
            pin_site(pins, number)
            return number
    if frame is None:
        frame = frame_at(stacklevel)
    if frame is None:
        return UNKNOWN_LOCATION
    location = location_of(frame)
    number = register_site(location)
    if number == 0:
        return describe_location(location)
    pin_site(pins, number)
    return number


cdef object frame_at(object stacklevel):
    """The frame of the call (1), or of its callers (2, ...), or the outermost one. None: there is no frame."""
    cdef PyObject* found = frame_of(PyThreadState_Get())
    if found == NULL:
        return None
    frame = <object> found
    Py_DecRef(found)
    if type(stacklevel) is int:
        while stacklevel > 1 and frame.f_back is not None:
            frame = frame.f_back
            stacklevel -= 1
    return frame


# Kept in C variables, for a __del__ that logs when this module is empty. eventlet replaces `_active` by another dict.
cdef object threads = threading

cdef dict active_threads = threading._active


cdef str current_thread_name():
    """The calling thread's name as `threading` knows it now, which is the greenlet's where `threading` has been patched."""
    number = <uint64_t> PyThread_get_thread_ident()
    active = getattr(threads, "_active", None)
    if type(active) is not dict:
        active = active_threads
    thread = (<dict> active).get(number)
    if thread is None:
        number = greenlet_ident(number)
        thread = (<dict> active).get(number)
    name = getattr(thread, "_name", None) if thread is not None else None
    return name if type(name) is str else f"thread-{number}"


cdef object greenlet_ident(object number):
    """The id that `threading.get_ident` returns if gevent or eventlet has replaced it; else `number`."""
    get_ident = getattr(threads, "get_ident", None)
    if get_ident is None or type(get_ident) is type(len):
        return number
    try:
        number = get_ident()
    except RecursionError:
        raise
    except Exception:  # at the end of the interpreter
        pass
    return number
