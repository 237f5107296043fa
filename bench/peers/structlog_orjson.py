"""structlog as its performance page advises: filtering bound logger, orjson, a bytes file. Always JSON."""

import logging

import orjson
import structlog
from structlog.processors import CallsiteParameter

from harness.scenarios import PERCENT, Scenario, Session

LABEL = "structlog + orjson"
DISTRIBUTION = "structlog"
NOTE = "writes JSON in every scenario"
STATEMENTS = PERCENT | {
    "fields": 'logger.info("order filled", order=i, price=x, symbol="ABCD", live=True)',
}
SITES = {
    "site": {CallsiteParameter.MODULE, CallsiteParameter.FUNC_NAME, CallsiteParameter.LINENO},
    "full": {CallsiteParameter.THREAD, CallsiteParameter.FILENAME, CallsiteParameter.LINENO},
}


def setup(path: str, scenario: Scenario) -> Session:
    file = open(path, "ab")  # noqa: SIM115 (closed by close())
    processors = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    if scenario.layout in SITES:
        processors.append(structlog.processors.CallsiteParameterAdder(SITES[scenario.layout]))
    processors.append(structlog.processors.JSONRenderer(serializer=orjson.dumps))
    structlog.configure(
        cache_logger_on_first_use=True,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        processors=processors,
        logger_factory=structlog.BytesLoggerFactory(file=file),
    )
    logger = structlog.get_logger().bind()
    return Session(logger, STATEMENTS, file.flush, file.close)
