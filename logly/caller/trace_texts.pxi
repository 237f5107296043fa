# The exception and the stack of a call as a record has them: steps where the core can note these, else texts of `tracebacks.py`.

import sys

# Of other included files:
#   caller/careful.pxi: cut_text
#   caller/exceptions.pxi: steps_of_exception
#   caller/values.pxi: one_word, safe_str, type_name
#   registry/retired.pxi: Pins

# Kept in a C variable, because a __del__ may log after the interpreter has cleared this module.
cdef object handled_exception = sys.exc_info


cdef object exception_of(object exc_info):
    """The (exception, traceback) that `exc_info` stands for, or None."""
    if isinstance(exc_info, BaseException):
        return (exc_info, exc_info.__traceback__)
    if isinstance(exc_info, tuple):
        if len(exc_info) == 3 and isinstance(exc_info[1], BaseException):
            return (exc_info[1], exc_info[2])
        return None
    if not exc_info:
        return None
    error = handled_exception()[1]
    return (error, error.__traceback__) if error is not None else None


# Made before they are needed: what is logged of an exception when there is no memory to show it.
cdef tuple MEMORY_ERROR = ("MemoryError", "", "<no memory for the traceback of a MemoryError>", "")
cdef tuple NO_MEMORY_FOR_IT = ("?", "", "<no memory for the exception>", "")


cdef tuple exception_texts(object exc_info, unsigned long long limit, Pins* pins, tuple diagnosis):
    """(type, message, traceback, traceback made safe), or None when there is no exception. The traceback is a text, or the bytes
    of its steps. `diagnosis`: of the core; None: the traceback has no values of variables.
    """
    cdef object trouble = None
    cdef object found = None
    cdef tuple steps
    try:
        found = exception_of(exc_info)
        if found is None:
            return None
        steps = steps_or_none(found[0], found[1], limit, pins, diagnosis)
        if steps is not None:
            return steps
        render = exception_renderer()
        if render is None:
            kind, message = type_name(found[0]), cut_text(safe_str(found[0]), limit)
            return (kind, message, f"{one_word(kind)}: {message!r}", "")
        kind, message, stack, safe = render(*found)
        return (cut_text(kind, limit), cut_text(message, limit), cut_text(stack, limit), cut_text(safe, limit))
    except RecursionError:
        raise
    except MemoryError:
        pass
    except Exception as error:
        trouble = error
    if trouble is None:
        return MEMORY_ERROR if found is not None and isinstance((<tuple> found)[0], MemoryError) else NO_MEMORY_FOR_IT
    return ("?", "", f"<exception could not be rendered: {one_word(type_name(trouble))}>", "")


cdef tuple steps_or_none(object error, object trace, unsigned long long limit, Pins* pins, tuple diagnosis):
    try:
        return steps_of_exception(error, trace, limit, pins, diagnosis)
    except (RecursionError, MemoryError):
        raise
    except Exception:
        pass
    return None


cdef tuple stack_texts(object stack, unsigned long long limit):
    """(stack, stack made safe) as texts, of a frame's stack, or of a stack that is a text already; None where there is none."""
    cdef object trouble
    try:
        render = stack_renderer()
        if stack is None or render is None:
            return None
        text, safe = render(stack)
        return (cut_text(text, limit), cut_text(safe, limit))
    except RecursionError:
        raise
    except Exception as error:
        trouble = error
    return (f"<stack could not be rendered: {one_word(type_name(trouble))}>", "")


cdef object stack_renderer():
    """`tracebacks.stack_text`, or None for a late `__del__`, when nothing can be imported any more."""
    try:
        from logly.caller.tracebacks import stack_text
        return stack_text
    except ImportError:
        pass
    return None


cdef object exception_renderer():
    """`tracebacks.exception_text`, or None for a late `__del__`, when nothing can be imported any more."""
    try:
        from logly.caller.tracebacks import exception_text
        return exception_text
    except ImportError:
        pass
    return None
