"""Formatters of other packages that are served: recognised by module and name of classes that the program has imported.

No package is imported here. A class is taken for what its name says only while all its methods are the package's own.
"""

from __future__ import annotations

import http
import logging
import sys
from types import FunctionType

from logly._core import KIND_BOOL, KIND_FLOAT, KIND_INT, KIND_NONE, KIND_STR

from .format_parts import NotServed
from .formatter_checks import check_formatter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType
    from typing import Any

__all__ = [
    "check_package",
    "kind_of_formatter",
    "modules_of",
    "more_attributes",
    "more_fields",
    "own_classes",
    "status_phrases",
]

KNOWN = {
    ("pythonjsonlogger.json", "JsonFormatter"): "json",
    ("pythonjsonlogger.jsonlogger", "JsonFormatter"): "json",
    ("uvicorn.logging", "DefaultFormatter"): "uvicorn",
    ("uvicorn.logging", "AccessFormatter"): "access",
    ("django.utils.log", "ServerFormatter"): "server",
}
"""Module and name of a class, and what its formatters are called here; those of `logging` are called "logging"."""

CALLABLE = ("__dict__", "__weakref__")
"""What is in each class, and no function."""

STATUS_ROLES = (
    "HTTP_INFO",
    "HTTP_SUCCESS",
    "HTTP_REDIRECT",
    "HTTP_NOT_MODIFIED",
    "HTTP_BAD_REQUEST",
    "HTTP_NOT_FOUND",
    "HTTP_SERVER_ERROR",
)
"""The functions of django's palettes by which a `ServerFormatter` colours messages."""


def kind_of_formatter(formatter: Any) -> str:
    """What a formatter is called in `KNOWN`.

    Raises:
        NotServed: it is of another class, or a method is not as its package has made it, or it shows colours.
    """
    kind = type(formatter)
    if kind is logging.Formatter:
        check_formatter(formatter)
        return "logging"
    name = KNOWN.get((kind.__module__, kind.__qualname__))
    if name is None or vars(sys.modules.get(kind.__module__, sys)).get(kind.__qualname__) is not kind:
        raise NotServed(f"the formatter is a {kind.__module__}.{kind.__qualname__}")
    for base in own_classes(kind):
        check_package(base, formatter)
    check_formatter(formatter)
    if name in ("uvicorn", "access") and vars(formatter).get("use_colors") is not False:
        raise NotServed("the formatter may show colours")
    if name == "server":
        _check_palette(formatter)
    return name


def own_classes(kind: type[Any]) -> Iterator[type[Any]]:
    """The class and its bases, up to `logging.Formatter`."""
    for base in kind.__mro__:
        if base is logging.Formatter:
            return
        yield base
    raise NotServed("the formatter is no logging.Formatter")


def modules_of(kind: type[Any]) -> list[ModuleType]:
    """The modules of a known class and its bases, and those that they call; [] for a class that is not known."""
    if (kind.__module__, kind.__qualname__) not in KNOWN or logging.Formatter not in kind.__mro__:
        return []
    names = [base.__module__ for base in own_classes(kind)]
    names += ["json", "json.encoder"] if kind.__qualname__ == "JsonFormatter" else ["http"]
    return [sys.modules[name] for name in names if name in sys.modules]


def check_package(base: type[Any], formatter: Any) -> None:
    """Raises NotServed unless all functions of a class are those of the file that defines it, and none is hidden.

    What else can be called has been put there by somebody.
    """
    file = getattr(sys.modules.get(base.__module__), "__file__", None)
    attributes = vars(base)
    for name in attributes:
        function = attributes[name]
        if isinstance(function, FunctionType):
            if function.__code__.co_filename != file:
                raise NotServed(f"{base.__qualname__}.{name} is patched")
            if name in vars(formatter):
                raise NotServed(f"the formatter has its own {name}")
        elif name not in CALLABLE and (callable(function) or hasattr(function, "__get__")):
            raise NotServed(f"{base.__qualname__}.{name} is patched")
    access: Any = base.__getattribute__
    if access is not object.__getattribute__ or "__getattr__" in attributes:
        raise NotServed(f"{base.__qualname__}'s attributes are patched")


def _check_palette(formatter: Any) -> None:
    """Raises NotServed unless django's palette leaves messages as they are."""
    for role in STATUS_ROLES:
        color = vars(formatter.style).get(role)
        samples = ["message", ""]
        if not isinstance(color, FunctionType) or not color.__module__.startswith("django."):
            raise NotServed(f"the formatter's style has its own {role}")
        if color.__closure__ is not None or any(color(text) is not text for text in samples):
            raise NotServed("the formatter shows colours")


def more_attributes(kind: str, formatter: Any) -> dict[str, int]:
    """What a formatter adds to the attributes of a record before it fills its format."""
    if kind == "server" and formatter.uses_server_time():
        return {"server_time": KIND_STR}
    if kind == "access":
        return dict.fromkeys(("levelprefix", "client_addr", "request_line", "status_code"), KIND_STR)
    return {"levelprefix": KIND_STR} if kind == "uvicorn" else {}


def more_fields(kind: str, fields: dict[str, int]) -> None:
    """Adds fields of `extra` that a formatter looks at, whether or not its format names them."""
    if kind == "server":
        fields["status_code"] = fields.get("status_code", -1) & (KIND_NONE | KIND_BOOL | KIND_INT | KIND_FLOAT)
        if not fields["status_code"]:
            raise NotServed("the format gives status_code in a form that is not served")


def status_phrases() -> dict[int, str]:
    """The status of a response as uvicorn's access log shows it, by number."""
    return {status.value: f"{status.value} {status.phrase}" for status in http.HTTPStatus}
