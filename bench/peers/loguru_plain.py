"""loguru with a file sink."""

from loguru import logger

from harness.scenarios import BRACE, Scenario, Session

LABEL = "loguru"
DISTRIBUTION = "loguru"
NOTE = "its JSON (`serialize=True`) carries all it knows of a record, some 600 bytes"
LAYOUTS = {
    "short": "{time:YYYY-MM-DD HH:mm:ss.SSS} | {level: <8} | {message}",
    "site": "{time:YYYY-MM-DD HH:mm:ss.SSS} | {level: <8} | {module}:{function}:{line} | {message}",
    "full": "{time:YYYY-MM-DD HH:mm:ss.SSSSSS} {thread.id} {file.name}:{line} {level: <8} {message}",
    "json": "{message}",
}


def setup(path: str, scenario: Scenario, *, enqueue: bool = False) -> Session:
    logger.remove()
    logger.add(
        path,
        format=LAYOUTS[scenario.layout],
        level="INFO",
        serialize=scenario.layout == "json",
        enqueue=enqueue,
        # Its traceback with values is a feature the others do not have: compare the plain one.
        backtrace=False,
        diagnose=False,
    )
    return Session(logger, BRACE, logger.complete, logger.remove)
