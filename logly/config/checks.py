"""Checks of single configuration values. Each returns the value in its plain form, or raises `ConfigError`.

A check is called with the field's name, the value, and the numbers of the custom levels by name.
"""

from logly.errors import invalid, show
from logly.levels import BUILTIN_LEVELS, LEVEL_ALIASES, MAX_LEVEL, level_number
from logly.units import parse_size

from .level_spec import parse_levels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .level_spec import LevelSpec

    Check = Callable[[str, Any, Mapping[str, int]], Any]

JSON_LAYOUTS = ("json", "ecs", "gcp", "datadog", "otlp")
WIRE_LAYOUTS = ("rfc3164", "rfc5424", "journald")
NAMED_LAYOUTS = (*JSON_LAYOUTS, *WIRE_LAYOUTS, "logfmt")
MAX_STATIC = 1000
MAX_SIZE_BYTES = 1 << 40
MAX_DESCRIPTOR = 0x7FFFFFFF
COPIED_KINDS = {bool, bytes, float, int, str, type(None)}
MAX_PATTERNS = 1000
MAX_PATTERN_LENGTH = 256
CO_COROUTINE, CO_ASYNC_GENERATOR = 0x80, 0x200  # as in `inspect`, whose import takes too long


def boolean(field: str, value: "Any", levels: "Mapping[str, int]") -> bool:
    if isinstance(value, bool):
        return value
    raise invalid(field, value, "True or False")


def color(field: str, value: "Any", levels: "Mapping[str, int]") -> "Any":
    """True, False or None, or a word that says what to colour."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("level", "line"):
        return value.lower()
    raise invalid(field, value, "True, False, None, 'level' or 'line'")


def level(field: str, value: "Any", levels: "Mapping[str, int]") -> int:
    return level_number(value, levels, field=field)


def levels_by_name(field: str, value: "Any", levels: "Mapping[str, int]") -> "LevelSpec":
    return parse_levels(field, value, levels)


def text(field: str, value: "Any", levels: "Mapping[str, int]") -> str:
    if isinstance(value, str) and value:
        return value
    raise invalid(field, value, "a text that is not empty")


def field_name(field: str, value: "Any", levels: "Mapping[str, int]") -> str:
    if isinstance(value, str) and value:
        return value
    raise invalid(field, value, "the name of a field")


def layout(field: str, value: "Any", levels: "Mapping[str, int]") -> str:
    """A layout template, or a layout's name."""
    template = text(field, value, levels)
    if template.lower() in NAMED_LAYOUTS:
        return template.lower()
    from logly.layout.layout_template import parse_layout

    parse_layout(template, field=field)
    return template


def time_pattern(field: str, value: "Any", levels: "Mapping[str, int]") -> str:
    from logly.layout.layout_template import check_time_pattern

    pattern = text(field, value, levels)
    check_time_pattern(pattern, field=field)
    return pattern


def function(field: str, value: "Any", levels: "Mapping[str, int]") -> "Any":
    if not callable(value):
        raise invalid(field, value, "something that can be called")
    call = getattr(type(value), "__call__", None)  # noqa: B004 -- what an instance's call runs
    if _is_coroutine_function(value) or _is_coroutine_function(call):
        raise invalid(field, value, "a plain function, not a coroutine's: no event loop runs where it is called")
    return value


def filter_function(field: str, value: "Any", levels: "Mapping[str, int]") -> "Any":
    """A function; a module's name or levels by name, which loguru has here, are settings of their own."""
    if isinstance(value, str):
        raise invalid(field, value, f"filter_module={value!r} for a module, or a function that gets the record")
    if _is_mapping(value):
        raise invalid(field, value, "level={'': 'info', 'noisy': 'off'} for levels by name, or a function")
    return function(field, value, levels)


_CONTEXT_SOURCES = "a ContextVar, or a function without arguments, or a dict of these by the name of a field"


def context_source(field: str, value: "Any", levels: "Mapping[str, int]") -> "Any":
    from _contextvars import ContextVar  # the compiled one, which the core reads

    if isinstance(value, ContextVar):
        return value
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str) or not (isinstance(value[name], ContextVar) or callable(value[name])):
                raise invalid(f"{field}[{show(name)}]", value[name], _CONTEXT_SOURCES)
            if not isinstance(value[name], ContextVar):
                function(f"{field}[{show(name)}]", value[name], levels)
        return dict(value) or None
    if not callable(value):
        raise invalid(field, value, _CONTEXT_SOURCES)
    return function(field, value, levels)


def trace_context(field: str, value: "Any", levels: "Mapping[str, int]") -> str:
    """The name of a tracing library, which is installed."""
    library: str = one_of("opentelemetry")(field, value, levels)
    try:
        from importlib import import_module

        import_module(f"{library}.trace")
    except ImportError as error:
        raise invalid(field, value, f"None, where opentelemetry-api is not installed ({error})") from error
    return library


def _is_coroutine_function(value: "Any") -> bool:
    try:
        while type(value).__name__ == "partial" and hasattr(value, "func"):
            value = value.func
        while type(value).__name__ == "method":
            value = value.__func__
        flags = getattr(getattr(value, "__code__", None), "co_flags", 0)
        return isinstance(flags, int) and bool(flags & (CO_COROUTINE | CO_ASYNC_GENERATOR))
    except RecursionError:
        raise
    except Exception:  # noqa: BLE001  # an access may fail, for example on a proxy without its object
        return False


def names(field: str, value: "Any", levels: "Mapping[str, int]") -> "tuple[str, ...]":
    chosen = (value,) if isinstance(value, str) else value
    if isinstance(chosen, (list, tuple, set, frozenset)) and chosen:
        chosen = tuple(chosen)
        if all(isinstance(name, str) and name for name in chosen):
            return chosen
    raise invalid(field, value, "a name, or a list of names")


def field_patterns(field: str, value: "Any", levels: "Mapping[str, int]") -> "tuple[str, ...] | bool":
    """Names of fields, in which `*` stands for any characters; True: the usual ones."""
    if isinstance(value, bool):
        return value
    patterns = (value,) if isinstance(value, str) else value
    if isinstance(patterns, (list, tuple, set, frozenset)):
        patterns = tuple(patterns)
        if len(patterns) <= MAX_PATTERNS and all(
            isinstance(one, str) and 0 < len(one) <= MAX_PATTERN_LENGTH for one in patterns
        ):
            return patterns
    raise invalid(
        field,
        value,
        f"True, or a list of up to {MAX_PATTERNS} names of 1 to {MAX_PATTERN_LENGTH} characters, like "
        "['password', '*token*']",
    )


def sampling(field: str, value: "Any", levels: "Mapping[str, int]") -> "tuple[int, int]":
    """How many records pass in a second, and after how many others each further one."""
    numbers = tuple(value) if isinstance(value, (tuple, list)) else ()
    are_numbers = all(isinstance(one, int) and not isinstance(one, bool) and 0 <= one <= 1 << 31 for one in numbers)
    if len(numbers) == 2 and are_numbers and any(numbers):
        return (int(numbers[0]), int(numbers[1]))
    raise invalid(field, value, "two whole numbers from 0 on, not both 0, like (100, 10)")


def timezone(field: str, value: "Any", levels: "Mapping[str, int]") -> str:
    """`local` or `utc` in any case, or the name of a zone of the IANA database."""
    if isinstance(value, str) and value:
        if value.lower() in ("local", "utc"):
            return value.lower()
        from .zones import zone_number

        zone_number(value, field=field)
        return value
    raise invalid(field, value, "'local', 'utc', or the name of a time zone like 'Europe/Berlin'")


def stream(field: str, value: "Any", levels: "Mapping[str, int]") -> "Any":
    if isinstance(value, str):
        return one_of("stdout", "stderr")(field, value, levels)
    import io

    if callable(getattr(value, "write", None)) and not isinstance(value, (io.RawIOBase, io.BufferedIOBase)):
        return value
    raise invalid(field, value, "'stdout', 'stderr' or a text file object")


def permissions(field: str, value: "Any", levels: "Mapping[str, int]") -> int:
    """Permission bits; what `open` has under this name is something else."""
    if isinstance(value, str):
        raise invalid(field, value, "permission bits, like 0o640, or leave it out: files are always appended to")
    bits: int = integer(0, 0o7777, "permission bits, like 0o640")(field, value, levels)
    return bits


def custom_levels(field: str, value: "Any", levels: "Mapping[str, int]") -> "dict[str, int]":
    if not _is_mapping(value):
        raise invalid(field, value, "a dict of numbers by name, like {'NOTICE': 22}")
    seen: set[str] = set()
    for name in value:
        number = value[name]
        one = f"{field}[{name!r}]"
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise invalid(one, number, "a name that is not empty and has printable characters only")
        upper = name.strip().upper()
        if upper in BUILTIN_LEVELS or upper in LEVEL_ALIASES or upper in seen:
            raise invalid(one, number, "a name that no level has yet, in any case")
        seen.add(upper)
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= MAX_LEVEL:
            raise invalid(one, number, f"an int from 0 to {MAX_LEVEL}")
    return {name.strip(): int(value[name]) for name in value}


def level_colors(field: str, value: "Any", levels: "Mapping[str, int]") -> "dict[int, str]":
    """SGR sequences by level number."""
    if not _is_mapping(value):
        raise invalid(field, value, "a dict of colours by level, like {'INFO': 'bold green'}")
    if not value:
        return {}
    from logly.layout.colors import parse_color

    return {
        level_number(key, levels, field=f"{field}[{key!r}]"): parse_color(value[key], field=f"{field}[{key!r}]")
        for key in value
    }


def styles(field: str, value: "Any", _: "Mapping[str, int]") -> "dict[str, str]":
    """Styles by the name of a part of a line."""
    if not _is_mapping(value):
        raise invalid(field, value, "a dict of styles by part of a line, like {'message': 'bold'}")
    if value:
        from logly.layout.styles import theme_of

        theme_of(value, field=field)
    return dict(value)


def encoders(field: str, value: "Any", levels: "Mapping[str, int]") -> "dict[type, Any]":
    """Functions by class."""
    if not _is_mapping(value):
        raise invalid(field, value, "a dict of functions by class, like {Money: str}")
    for kind in value:
        one = f"{field}[{kind.__qualname__ if isinstance(kind, type) else show(kind)}]"
        if not isinstance(kind, type):
            raise invalid(one, value[kind], "a class as the key, like {Money: str}")
        if kind in COPIED_KINDS:
            raise invalid(one, value[kind], "another class: bool, bytes, float, int, str and None are as they are")
        function(one, value[kind], levels)
    return dict(value)


def _is_mapping(value: "Any") -> bool:
    return hasattr(value, "items") and not isinstance(value, type)


def json_key(field: str, value: "Any", levels: "Mapping[str, int]") -> str:
    """A key of a JSON object. Lone surrogates, which UTF-8 does not have, are refused."""
    key = text(field, value, levels)
    try:
        key.encode()
    except UnicodeEncodeError:
        raise invalid(field, value, "a text that UTF-8 can hold") from None
    return str.__str__(key)


def json_keys(field: str, value: "Any", levels: "Mapping[str, int]") -> "dict[str, str]":
    """New keys by old ones; what is left out has an empty one (None cannot stand in TOML)."""
    if not _is_mapping(value):
        raise invalid(
            field, value, "a dict of new keys by the layout's keys, like {'level': 'severity', 'lineno': None}"
        )
    return {
        json_key(f"{field}[key]", name, levels): ""
        if value[name] is None or value[name] == ""
        else json_key(f"{field}[{name!r}]", value[name], levels)
        for name in value
    }


def json_static(field: str, value: "Any", levels: "Mapping[str, int]") -> "dict[str, Any]":
    if not _is_mapping(value) or len(value) > MAX_STATIC:
        raise invalid(field, value, f"a dict of up to {MAX_STATIC} values by key, like {{'service': 'shop'}}")
    return {json_key(f"{field}[key]", name, levels): value[name] for name in value}


def rotation(field: str, value: "Any", levels: "Mapping[str, int]") -> "Any":
    from logly.files.schedule import parse_rotation

    parse_rotation(value, field=field)
    return value


def retention(field: str, value: "Any", levels: "Mapping[str, int]") -> "Any":
    from logly.files.rotated import parse_retention

    parse_retention(value, field=field)
    return value


def compression(field: str, value: "Any", levels: "Mapping[str, int]") -> str:
    from logly.files.compression import find_method

    return find_method(value, field=field)


def path(field: str, value: "Any", levels: "Mapping[str, int]") -> str:
    from logly.files.paths import check_path

    return check_path(value, field=field)


def plain_path(field: str, value: "Any", levels: "Mapping[str, int]") -> str:
    import os

    try:
        name = os.fspath(value)
    except TypeError:
        name = None
    if isinstance(name, str) and name and "\0" not in name:
        return name
    raise invalid(field, value, "the name of a file, as text or a pathlib.Path")


def socket(field: str, value: "Any", levels: "Mapping[str, int]") -> str:
    from .socket_address import parse_socket

    return str(parse_socket(value, field=field))


def tls(field: str, value: "Any", levels: "Mapping[str, int]") -> "Any":
    """The name of a file, or an object with the methods of `ssl.SSLContext`."""
    if callable(getattr(value, "wrap_bio", None)):
        return value
    return plain_path(field, value, levels)


def facility(field: str, value: "Any", levels: "Mapping[str, int]") -> int:
    from logly.layout.wire import FACILITIES

    if isinstance(value, str) and value.lower() in FACILITIES:
        return FACILITIES[value.lower()]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(FACILITIES):
        return int(value)
    raise invalid(field, value, f"a number from 0 to 23, or one of {', '.join(FACILITIES)}", FACILITIES)


def sd_id(field: str, value: "Any", levels: "Mapping[str, int]") -> str:
    from logly.layout.wire import is_element

    if isinstance(value, str) and is_element(value):
        return value
    raise invalid(field, value, "NAME@NUMBER with up to 32 printable ASCII characters, like 'shop@32473'")


def optional(check: "Check") -> "Check":
    def optional_check(field: str, value: "Any", levels: "Mapping[str, int]") -> "Any":
        return None if value is None else check(field, value, levels)

    return optional_check


def one_of(*choices: str) -> "Check":
    """One of some words, in any case."""

    def choice_check(field: str, value: "Any", levels: "Mapping[str, int]") -> str:
        if isinstance(value, str) and value.lower() in choices:
            return value.lower()
        raise invalid(field, value, " or ".join(map(repr, choices)), choices)

    return choice_check


def size(minimum: int, maximum: int = MAX_SIZE_BYTES) -> "Check":
    """A size in bytes, as an int or as text with a unit."""

    def size_check(field: str, value: "Any", levels: "Mapping[str, int]") -> int:
        is_int = isinstance(value, int) and not isinstance(value, bool)
        size_bytes = int(value) if is_int else parse_size(value, field=field)
        if minimum <= size_bytes <= maximum:
            return size_bytes
        raise invalid(field, value, f"a size from {minimum} to {maximum} bytes")

    return size_check


def number(minimum: float, maximum: float, unit: str) -> "Check":
    """An int or float in a range; nan is in no range."""

    def number_check(field: str, value: "Any", levels: "Mapping[str, int]") -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and minimum <= value <= maximum:
            return value
        raise invalid(field, value, f"a number of {unit} from {minimum} to {maximum}")

    return number_check


def integer(minimum: int, maximum: int, what: str) -> "Check":
    """A whole number in a range."""

    def integer_check(field: str, value: "Any", levels: "Mapping[str, int]") -> int:
        if isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum:
            return int(value)
        raise invalid(field, value, what)

    return integer_check
