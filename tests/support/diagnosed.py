"""A logger whose tracebacks show values of variables."""

from collections.abc import Callable
from typing import Any

from tests.support.loggers import make_logger, records_of


class Diagnosed:
    """A logger that shows values, and the tracebacks that it has made."""

    def __init__(self, **config: Any) -> None:
        self.logger = make_logger(diagnose=True, **config)
        self.records = records_of(self.logger)

    def stack_of(self, function: Callable[..., Any], *args: Any) -> str:
        """The traceback of the error that the function raises."""
        self.records.clear()
        try:
            function(*args)
        except Exception:
            self.logger.exception("failed")
        assert self.logger.flush(60)
        exception = self.records[-1].exception
        assert exception is not None
        return exception.stack

    def values_of(self, function: Callable[..., Any], *args: Any) -> dict[str, str]:
        """The values that are shown for the innermost entry."""
        last = self.stack_of(function, *args).rpartition("  File ")[2]
        lines = [line[6:] for line in last.splitlines() if line.startswith("      ") and " = " in line]
        return dict(line.split(" = ", 1) for line in lines)


def show(value: Any) -> Any:
    raise ValueError(value is None)
