"""Settings and their checks.

This code runs on any thread with the GIL held, when something is configured. It never runs during a log call.
"""

from .schema import LoggerConfig, SinkConfig

__all__ = ["LoggerConfig", "SinkConfig"]
