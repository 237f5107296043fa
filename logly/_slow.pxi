# What a log call does when its arguments are not all copied as bits: everything that may run Python code, on the caller's
# thread, before the record is begun.

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
    try:
        text = str(value)
        return text if type(text) is str else str.__str__(text)
    except Exception as error:
        return f"<{type(value).__name__} whose str fails: {type(error).__name__}>"


cdef str safe_repr(object value):
    """repr(value), whatever it does. An int too long for CPython's decimal conversion is shown in hexadecimal."""
    try:
        return str.__str__(repr(value))
    except Exception as error:
        if type(value) is int:
            return hex(value)
        return f"<{type(value).__name__} whose repr fails: {type(error).__name__}>"


cdef bytes json_bytes(object value):
    import json
    try:
        text = json.dumps(
            value, ensure_ascii=True, allow_nan=False, default=safe_str, skipkeys=False, separators=(",", ":")
        )
    except Exception:
        # Cycles, NaN inside, keys that are no str: as JSON as it can be, and never an invalid line.
        text = json.dumps(plain_json(value, 0), separators=(",", ":"))
    return text.encode("ascii")


cdef object plain_json(object value, int depth):
    """`value` made of what JSON knows, at most 32 levels deep."""
    if depth > 32:
        return safe_repr(value)
    if isinstance(value, dict):
        return {k if type(k) is str else safe_str(k): plain_json(v, depth + 1) for k, v in list(value.items())}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain_json(item, depth + 1) for item in list(value)]
    if value is None or type(value) is bool or type(value) is str:
        return value
    if type(value) is float:
        return value if value - value == 0 else ("NaN" if value != value else "Infinity" if value > 0 else "-Infinity")
    if type(value) is int:
        return value if -(1 << 63) <= value < (1 << 64) else safe_repr(value)
    return safe_str(value)


cdef object native_field(object value):
    """The value as a field carries it: a number stays a number, a nested value becomes JSON, the rest text."""
    kind = type(value)
    if kind is str or kind is float or kind is bool or kind is bytes or value is None:
        return value
    if kind is int:
        if -(1 << 63) <= value < (1 << 64):
            return value
        return rendition(TAG_NUMBER, utf8(safe_repr(value))) if value.bit_length() < 14000 else safe_repr(value)
    try:
        if isinstance(value, (dict, list, tuple, set, frozenset)):
            return rendition(TAG_JSON, json_bytes(value))
        if isinstance(value, int):
            return native_field(int.__int__(value))
        if isinstance(value, float):
            return float.__float__(value)
    except Exception:
        return safe_repr(value)
    return safe_str(value)


cdef str fallback_text(str message, tuple args, dict fields):
    """What is written for a message that cannot be formatted: itself, and what was to go into it."""
    parts = [message]
    parts += [safe_repr(arg) for arg in args]
    parts += [f"{name}={safe_repr(value)}" for name, value in fields.items()]
    return " ".join(parts)


cdef str format_message(Core core, object message, tuple args, dict fields):
    cdef str template
    if type(message) is not str:
        try:
            template = str(message)
            if type(template) is not str:
                template = str.__str__(template)
        except Exception as error:
            core.note_failed_format(error)
            template = safe_str(message)
    else:
        template = message
    if not args and not fields:
        return template
    try:
        return template.format(*args, **fields)
    except Exception as error:
        core.note_failed_format(error)
        return fallback_text(template, args, fields)


cdef str cut_text(str text, unsigned long long limit):
    """At most about `limit` bytes of UTF-8, with a mark that says that something is missing."""
    if len(text) <= limit // 4 or (text.isascii() and len(text) <= limit):
        return text
    size = len(utf8(text)) if len(text) <= limit else limit + 1
    if size <= limit:
        return text
    kept = utf8(text[:limit])[:limit].decode("utf-8", "ignore")
    return f"{kept} [logly: cut, the message had {len(text)} characters]"


cdef tuple exception_texts(object exc_info):
    """(type, message, traceback) of what `exc_info` stands for, as text; None when that is no exception."""
    import traceback

    if exc_info is True or exc_info == 1:
        error = sys.exc_info()[1]
    elif isinstance(exc_info, tuple) and len(exc_info) == 3:
        error = exc_info[1]
    else:
        error = exc_info
    if not isinstance(error, BaseException):
        return None
    try:
        stack = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception as trouble:
        stack = f"{type(error).__name__}: <traceback could not be rendered: {type(trouble).__name__}>\n"
    return (type(error).__qualname__, safe_str(error), stack)


cdef object frame_at(int stacklevel):
    try:
        return sys._getframe(max(stacklevel, 1) - 1)
    except ValueError:
        return None


cdef dict active_threads = threading._active


cdef str current_thread_name():
    """The calling thread's name, as `threading` knows it now."""
    thread = active_threads.get(get_ident())
    name = getattr(thread, "_name", None) if thread is not None else None
    return name if type(name) is str else f"thread-{get_ident()}"
