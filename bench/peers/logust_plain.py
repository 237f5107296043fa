"""logust (Rust, loguru's interface) with a file sink."""

from logust import logger

from harness.scenarios import BRACE, Scenario, Session

LABEL = "logust"
DISTRIBUTION = "logust"
NOTE = "its calls take no arguments: an f-string, or `bind` for fields, stands in each call"
LAYOUTS = {
    "short": "{time} | {level:<8} | {message}",
    "site": "{time} | {level:<8} | {module}:{function}:{line} | {message}",
    "full": "{time} {thread} {file}:{line} {level:<8} {message}",
    "json": "{message}",
}
FSTRING = 'logger.info(f"order {i} filled at {x:.2f}")'
STATEMENTS = {
    **BRACE,
    "args": FSTRING,
    "site": FSTRING,
    "fields": 'logger.bind(order=i, price=x, symbol="ABCD", live=True).info("order filled")',
    "full": 'logger.info(f"Iteration: {i} int: {i * 2} double: {i / 2}")',
}


def setup(path: str, scenario: Scenario, *, enqueue: bool = False) -> Session:
    logger.remove()
    logger.add(
        path,
        format=LAYOUTS[scenario.layout],
        level="INFO",
        serialize=scenario.layout == "json",
        enqueue=enqueue,
    )
    return Session(logger, STATEMENTS, logger.complete, logger.remove)
