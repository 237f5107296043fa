"""logly: asynchronous logging for CPU-bound Python. A log call costs tens of nanoseconds; the rest happens off the GIL.

>>> from logly import Logger, SinkConfig
>>> logger = Logger()
>>> sink = logger.add_sink(SinkConfig(path="logs/app.log"))
>>> logger.info("order {} filled at {:.2f}", 42, 3.14159)
>>> logger.flush()
True
"""

from typing import Any

from .config import LoggerConfig, SinkConfig
from .errors import ConfigError, LoglyError, SinkError
from .levels import Level
from .logger import Logger
from .record import Record, RecordException
from .stats import SinkStats, Stats

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "Level",
    "Logger",
    "LoggerConfig",
    "LoglyError",
    "Record",
    "RecordException",
    "SinkConfig",
    "SinkError",
    "SinkStats",
    "Stats",
    "__version__",
    "logger",
]

logger: Logger


def __getattr__(name: str) -> Any:
    # `logly.logger` is made at first use: importing logly starts nothing.
    if name == "logger":
        ready = globals()["logger"] = Logger()
        return ready
    raise AttributeError(f"module 'logly' has no attribute {name!r}")
