"""logly as it comes: an asynchronous file sink."""

from typing import Any

from harness.scenarios import BRACE, Scenario, Session
from logly import Logger, LoggerConfig, SinkConfig

LABEL = "logly"
DISTRIBUTION = "logly"
LAYOUTS = {
    "short": "{time:YYYY-MM-DD HH:mm:ss.SSS} | {level:<8} | {message}",
    "site": None,
    "full": "{time:YYYY-MM-DD HH:mm:ss.SSSSSSSSS} {thread} {filename}:{lineno} {level:<8} {message}",
    "json": None,
}


def setup(path: str, scenario: Scenario, *, async_write: bool = True) -> Session:
    logger: Any = Logger(LoggerConfig(auto_sink=False))
    logger.add_sink(
        SinkConfig(
            path=path,
            format=LAYOUTS[scenario.layout],
            json=True if scenario.layout == "json" else None,
            async_write=async_write,
        )
    )
    return Session(logger, BRACE, logger.flush, logger.close)
