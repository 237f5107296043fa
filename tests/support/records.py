"""Statements that log one record of every kind, for a process whose spool is read afterwards."""

#: NOTICE is a level that must have been added. LARGE: how long the text is that does not go into the ring in place.
RECORDS_OF_EVERY_KIND = """
import logging
from logly import StdlibHandler
logger.info("plain {} braces")
for number in (1, -2, 2**63, 2**80):
    logger.info("{} {:>8} {!r} {:.3f}", number, "right", "quoted", 2.5)
logger.log("NOTICE", "ünïcode {}", "\\U0001f600 \\u20ac")
logger.log(37, "a level that only has a number")
german = {"a": [1, None], "\u00fc": "M\u00fcller \U0001f600"}
logger.bind(user="me", nested=german).warning("bound {what}", what=b"bytes")
with logger.contextualize(request=7):
    logger.info("context", big=2**100, nothing=None, yes=True)
try:
    1 / 0
except ZeroDivisionError:
    logger.exception("it failed: {}", "here")
    logger.exception("it failed, with the stack of the call", stack_info=True)
logger.info("how it came here", stack_info=True)
far = logging.makeLogRecord({"msg": "of yesterday, of another process", "levelno": 30, "created": 1700000000.25})
far.process, far.thread, far.threadName = 4242, 77, "far"
StdlibHandler(logger).handle(far)
order = "order %s filled at %.2f"
for number in range(3):  # from the second one on the flusher makes the text
    StdlibHandler(logger).handle(logging.LogRecord("shop", 20, "/shop.py", 3, order, (number, 0.5), None))
logger.info("x" * LARGE, exc_info=False)  # not in place: a block of its own
logger.info(f"made {1} by the caller")
"""

#: The same for a logger `logger` that lacks the level.
WITH_ITS_LEVEL = 'logger.add_level("NOTICE", 35)' + RECORDS_OF_EVERY_KIND.replace("LARGE", "700_000")
