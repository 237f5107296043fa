"""logly: asynchronous logging for CPU-bound Python. A log call costs tens of nanoseconds; the rest happens off the GIL.

>>> from logly import Logger, SinkConfig
>>> logger = Logger()
>>> sink = logger.add_sink(SinkConfig(path="logs/app.log"))
>>> logger.info("order {} filled at {:.2f}", 42, 3.14159)
>>> logger.flush()
True

For pytest, whose plugin comes with logly, where logly is imported before pytest: PYTEST_DONT_REWRITE.
"""

from ._fields import Fields, fields
from ._logger import Logger
from .config.schema import LoggerConfig, SinkConfig
from .errors import Advice, BatchRefused, ConfigError, LoglyError, RetryBatch, SinkError, SpoolError
from .levels import Level

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._capture import Capture, Records, capture
    from ._light import LightLogger
    from .bridge.install import Route, install, routes, uninstall
    from .record import Record, RecordException
    from .stats import SinkStats, Stats
    from .stdlib import StdlibHandler, StdlibSink

__version__ = "0.2.0"

__all__ = [
    "Advice",
    "BatchRefused",
    "Capture",
    "ConfigError",
    "Fields",
    "Level",
    "LightLogger",
    "Logger",
    "LoggerConfig",
    "LoglyError",
    "Record",
    "RecordException",
    "Records",
    "RetryBatch",
    "Route",
    "SinkConfig",
    "SinkError",
    "SinkStats",
    "SpoolError",
    "Stats",
    "StdlibHandler",
    "StdlibSink",
    "__version__",
    "capture",
    "fields",
    "get_logger",
    "install",
    "logger",
    "routes",
    "uninstall",
]

logger: Logger

_RARELY_NAMED = {
    "Capture": "_capture",
    "Records": "_capture",
    "capture": "_capture",
    "Route": "bridge.install",
    "LightLogger": "_light",
    "install": "bridge.install",
    "routes": "bridge.install",
    "uninstall": "bridge.install",
    "Record": "record",
    "RecordException": "record",
    "SinkStats": "stats",
    "Stats": "stats",
    "StdlibHandler": "stdlib",
    "StdlibSink": "stdlib",
}
"""Names that most programs do not use, and their modules, which are imported at the first use."""


def get_logger(name: "str | None" = None) -> Logger:
    """`logly.logger` under this name. All loggers that this returns share its thread, its ring and its sinks.

    Args:
        name: by custom the module's, ``__name__``; None or "": without a name.

    Raises:
        ConfigError: `name` is not a str.

    Examples:
        >>> log = get_logger(__name__)
    """
    ready: Logger = globals().get("logger") or __getattr__("logger")
    return ready.named("" if name is None else name)


def __getattr__(name: str) -> "Any":
    # `logly.logger` is made at its first use, because importing logly must not start anything.
    if name == "logger":
        # If several threads ask at the same time, all get the logger of the first one.
        return globals().setdefault("logger", Logger())
    if name in _RARELY_NAMED:
        from importlib import import_module

        found = globals()[name] = getattr(import_module(f".{_RARELY_NAMED[name]}", __name__), name)
        return found
    from ._hinted import WORDS
    from .config.hints import module_hint

    raise AttributeError(module_hint(name, set(dir(Logger)) - set(WORDS)))


def __dir__() -> "list[str]":
    return sorted({*globals(), *__all__})
