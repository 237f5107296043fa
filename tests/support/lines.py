"""A logger whose lines land in memory, for tests of what lines look like."""

from __future__ import annotations

import builtins
import json
import os
from typing import Any, Self

from logly import Logger, LoggerConfig, SinkConfig


class Lines:
    """`logger` writes into memory; `text()` is what it has written since the last look.

    Args:
        config: the logger's; None: everything passes.
        name: the logger's name.
        sink: fields of the SinkConfig.
    """

    def __init__(self, config: LoggerConfig | None = None, *, name: str = "root", **sink: Any) -> None:
        self.fd = os.memfd_create("lines")
        self.logger = Logger(config or LoggerConfig(level=0), name=name)
        self.seen = 0
        self.sink_id = self.logger.add_sink(SinkConfig(fd=self.fd, **sink))

    def text(self) -> str:
        assert self.logger.flush(30)
        size = os.fstat(self.fd).st_size
        data = os.pread(self.fd, size - self.seen, self.seen)
        self.seen = size
        return data.decode()

    def lines(self) -> list[str]:
        text = self.text()
        assert text == "" or text.endswith("\n")
        return text.split("\n")[:-1]

    def line(self) -> str:
        [line] = self.lines()
        return line

    def objects(self) -> list[dict[str, Any]]:
        return [parse(line) for line in self.lines()]

    def object(self) -> dict[str, Any]:
        [one] = self.objects()
        return one

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: builtins.object) -> None:
        self.close()

    def close(self) -> None:
        self.logger.close()
        os.close(self.fd)


def parse(text: str) -> Any:
    """json.loads that takes neither NaN nor a key that stands twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        assert len(found) == len(pairs), f"a key stands twice: {pairs}"
        return found

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, object_pairs_hook=unique, parse_constant=refuse)


def seen(text: str) -> str:
    """The text as it is in any output: lone surrogates are visible."""
    return text.encode("utf-8", "backslashreplace").decode()
