"""Settings and their checks.

Any thread, with the GIL, when something is configured; never during a log call.
"""

from .schema import LoggerConfig, SinkConfig

__all__ = ["LoggerConfig", "SinkConfig"]
