# What a log call does when its arguments are not all copied as bits: everything that may run Python code, on the caller's
# thread, before the record is begun.
#
# Whatever an object raises is dealt with here, but for a RecursionError, which goes up at once as KeyboardInterrupt does: an
# object that logs itself while it is shown would be shown again at every level above, twice as often at each. And no `except`
# here has a `return` in it, nor is there a list comprehension: without memory, Cython's code for them corrupts memory
# (tests/test_source.py).

cdef enum:
    MAX_DECIMAL_BITS = 14000  # 4,215 digits: within the 4,300 that CPython converts and reads by default


cdef class Rendition:
    """A value whose text was made on the caller's thread: JSON, or the digits of an int beyond 64 bits."""
    cdef uint8_t tag
    cdef bytes text


cdef Rendition rendition(uint8_t tag, bytes text):
    cdef Rendition made = Rendition.__new__(Rendition)
    made.tag = tag
    made.text = text
    return made


cdef str safe_str(object value):
    """str(value), whatever it does."""
    cdef object trouble
    try:
        text = str(value)
        return text if type(text) is str else str.__str__(text)
    except RecursionError:
        raise
    except Exception as error:
        trouble = error
    return f"<{type_name(value)} whose str fails: {type_name(trouble)}>"


cdef str type_name(object value):
    # Past a metaclass that has a __name__ of its own.
    return type.__dict__["__name__"].__get__(type(value))


cdef str one_word(str name):
    """A class's name, quoted where it is none: a class made from data may have any text there, also line breaks."""
    return name if name.isidentifier() else repr(name)


cdef str safe_repr(object value):
    """repr(value), whatever it does. An int too long for CPython's decimal conversion is shown in hexadecimal."""
    cdef object trouble
    try:
        return str.__str__(repr(value))
    except RecursionError:
        raise
    except Exception as error:
        trouble = error
    if type(value) is int:
        return hex(value)
    return f"<{type_name(value)} whose repr fails: {type_name(trouble)}>"


cdef object native_field(object value):
    """The value as a field carries it: a number stays a number, a nested value becomes JSON, the rest text."""
    kind = type(value)
    if kind is str or kind is float or kind is bool or kind is bytes or value is None or kind is Rendition:
        return value
    if kind is int:
        if -(1 << 63) <= value < (1 << 64):
            return value
        digits = int_text(value)
        return rendition(TAG_NUMBER, digits.encode()) if digits[0] != '"' else digits.strip("\"")
    try:
        if isinstance(value, (dict, list, tuple, set, frozenset)):
            return rendition(TAG_JSON, json_bytes(value))
        plain = plain_scalar(value)
        return safe_str(value) if plain is value else native_field(plain)
    except RecursionError:
        raise
    except Exception:
        pass
    return safe_repr(value)


cdef str int_text(object value):
    """Digits; for an int that is too long for CPython's decimal conversion its hexadecimal text, in quotes."""
    if value.bit_length() < MAX_DECIMAL_BITS:
        try:
            return int.__repr__(value)
        except ValueError:  # sys.set_int_max_str_digits() allows even less
            pass
    return f'"{hex(value)}"'


cdef object plain_scalar(object value):
    """A number for what is one (subclasses, numpy's scalars), text for a subclass of str; else `value` itself."""
    kind = type(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, (str, bytes)):
        return value
    try:
        if hasattr(kind, "item") and hasattr(kind, "ndim") and value.ndim == 0:
            item = value.item()
            return item if type(item) in (bool, int, float, str, bytes) else value
        if hasattr(kind, "__index__"):
            return value.__index__()
    except RecursionError:
        raise
    except Exception:
        pass  # an array has all of these, too
    return value


cdef dict native_fields(dict fields, Py_ssize_t limit):
    """The fields as a record carries them, in about `limit` bytes; what is missing is told."""
    cdef dict native = {}
    cdef Py_ssize_t left = limit
    cdef Py_ssize_t size
    for name, value in fields.items():
        key = cut_text(plain_key(name), limit)
        value = native_field(value)
        size = size_of_field(value)
        if size > left:
            value = cut_field(value, left)
            size = left
        native[key] = value
        left -= size
    return native


cdef Py_ssize_t size_of_field(object value):
    if type(value) is str or type(value) is bytes:
        return len(value)
    return len((<Rendition> value).text) if type(value) is Rendition else 0


cdef object cut_field(object value, Py_ssize_t limit):
    # What is cut is no JSON any more, and no number: text.
    if type(value) is bytes:
        return f"{(<bytes> value)[: limit // 4]!r} [logly: cut, {len(value)} bytes in all]"
    return cut_text((<Rendition> value).text.decode() if type(value) is Rendition else value, limit)


cdef str fallback_text(str message, tuple args, dict fields):
    """What is written for a message that cannot be formatted: itself, and what was to go into it."""
    cdef list parts = [message]
    for arg in args:
        parts.append(safe_repr(arg))
    for name, value in fields.items():
        parts.append(f"{name}={safe_repr(value)}")
    return " ".join(parts)


cdef str format_message(Core core, object message, tuple args, dict fields, object stacklevel, unsigned long long limit):
    cdef str template
    cdef str text = None
    cdef object trouble = None
    if type(message) is not str:
        try:
            template = str(message)
            if type(template) is not str:
                template = str.__str__(template)
        except RecursionError:
            raise
        except Exception as error:
            template = safe_str(message)
            core.note_failed_format(located(error, template, stacklevel))
    else:
        template = message
    if not args and (not fields or not names_fields_only(template, fields)):
        return template
    try:
        text = formatted(template, args, fields) if args else filled(template, fields, <Py_ssize_t> limit)
    except RecursionError:
        raise
    except Exception as error:
        trouble = error
    if trouble is not None:
        core.note_failed_format(located(trouble, template, stacklevel))
        return fallback_text(template, args, fields)
    if template is message and not args and <uint64_t> len(template) <= limit // 4:
        # Its fields have filled it once: the next call may have that done on the flusher's thread. What stays as it is
        # (a request's path) gets no place in the table.
        register_template(template)
    return text


cdef object located(object error, str template, object stacklevel):
    """The error with a note that says which message it is about, and where that was logged."""
    try:
        if not hasattr(error, "__notes__"):  # somebody's __format__ may raise the same object each time
            frame = frame_at(stacklevel)
            place = f", logged at {frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else ""
            error.add_note(f"in the message {show(template)}{place}")
    except RecursionError:
        raise
    except Exception:
        pass
    return error


cdef str cut_text(str text, unsigned long long limit_bytes):
    """At most `limit_bytes` of UTF-8, and then a mark that says that something is missing."""
    cdef Py_ssize_t limit = <Py_ssize_t> min(limit_bytes, <unsigned long long> MAX_RECORD_BYTES // 8)
    if len(text) <= limit // 6 or (len(text) <= limit and (text.isascii() or len(utf8(text)) <= limit)):
        return text
    kept = utf8(text[:limit])[:limit].decode("utf-8", "ignore")
    return f"{kept} [logly: cut, {len(text)} characters in all]"


# Kept in a C variable: a __del__ may log when the interpreter has emptied this module.
cdef object handled_exception = sys.exc_info


cdef object exception_of(object exc_info):
    """(exception, its traceback) that `exc_info` stands for; None when there is none."""
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


cdef tuple exception_texts(object exc_info, unsigned long long limit):
    """(type, message, traceback, the traceback made safe) as text; None when there is no exception."""
    cdef object trouble
    try:
        found = exception_of(exc_info)
        if found is None:
            return None
        render = exception_renderer()
        if render is None:
            kind, message = type_name(found[0]), cut_text(safe_str(found[0]), limit)
            return (kind, message, f"{one_word(kind)}: {message!r}", "")
        kind, message, stack, safe = render(*found)
        return (cut_text(kind, limit), cut_text(message, limit), cut_text(stack, limit), cut_text(safe, limit))
    except RecursionError:
        raise
    except Exception as error:
        trouble = error
    return ("?", "", f"<exception could not be rendered: {one_word(type_name(trouble))}>", "")


cdef object exception_renderer():
    """`tracebacks.exception_text`; None for a late `__del__`: nothing can be imported any more."""
    try:
        from .tracebacks import exception_text
        return exception_text
    except ImportError:
        pass
    return None


cdef object frame_at(object stacklevel):
    """The frame of the call (1) or of its callers (2, ...); the outermost one where there are fewer. None: there is none."""
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


# Also kept in C variables. eventlet puts another dict in the place of `_active`.
cdef object threads = threading
cdef dict active_threads = threading._active


cdef str current_thread_name():
    """The calling thread's name, as `threading` knows it now: that of a greenlet where it has been patched."""
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
    """What `threading.get_ident` says where gevent or eventlet has replaced it; else `number`."""
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
