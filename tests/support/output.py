"""A logger on a file, and what it tells of."""

from pathlib import Path

from logly import Logger, LoggerConfig, SinkConfig
from tests.support.waiting import wait_until


class Output:
    """A logger, what its file holds, and what `on_error` was told."""

    def __init__(self, folder: Path, layout: str = "{message}", **config) -> None:
        self.told: list[Exception] = []
        self.path = folder / "app.log"
        self.logger = Logger(LoggerConfig(on_error=self.told.append, level=0, **config))
        self.logger.add_sink(SinkConfig(path=self.path, format=layout, newlines="keep"))

    def text(self) -> str:
        assert self.logger.flush(30)
        return self.path.read_text("utf-8")

    def last(self) -> str:
        return self.text().rstrip("\n").rpartition("\n")[2]

    def has_failed(self, count: int, kind: type[Exception] = Exception) -> None:
        assert self.logger.stats().failed_formats == count
        wait_until(lambda: len(self.told) >= count, "on_error")
        assert len(self.told) == count
        assert all(isinstance(error, kind) for error in self.told)
