"""`LoggerConfig.context_from` as a dict: each field from a ContextVar or a function of its own."""

from __future__ import annotations

from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from logly import ConfigError, Logger, LoggerConfig
from tests.support.lines import Lines

FORMAT = "{message} {fields}"


def test_fields_are_those_that_are_set() -> None:
    request: ContextVar[str] = ContextVar("request")
    tenant: ContextVar[str | None] = ContextVar("tenant", default="nobody")
    with Lines(LoggerConfig(level=0, context_from={"request_id": request, "tenant": tenant}), format=FORMAT) as lines:

        def serve() -> None:
            lines.logger.info("a")
            request.set("c0ffee")
            lines.logger.info("b")
            tenant.set(None)
            lines.logger.info("c {}", 1, request_id="own")
            lines.logger.info("d {}", 1)

        copy_context().run(serve)
        lines.logger.info("e")
        assert lines.lines() == [
            "a tenant=nobody",
            "b request_id=c0ffee, tenant=nobody",
            "c 1 request_id=own",
            "d 1 request_id=c0ffee",
            "e tenant=nobody",
        ]


def test_functions_give_one_value_each() -> None:
    answers: list[Any] = [7, None, LookupError("no tenant"), 8]

    def tenant() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    told: list[Exception] = []
    config = LoggerConfig(level=0, context_from={"tenant": tenant}, on_error=told.append)
    with Lines(config, format=FORMAT) as lines:
        for message in "abcd":
            lines.logger.info(message)
        assert [line.rstrip() for line in lines.lines()] == ["a tenant=7", "b", "c", "d tenant=8"]
    assert "no tenant" in "".join(map(str, told))


def test_the_dict_is_copied_and_can_be_changed() -> None:
    given: dict[str, Any] = {"x": lambda: 1}
    with Lines(LoggerConfig(level=0, context_from=given), format=FORMAT) as lines:
        given["y"] = lambda: 2
        lines.logger.info("a")
        assert set(lines.logger.config.context_from) == {"x"}
        lines.logger.configure(context_from={"z": lambda: 3})
        lines.logger.info("b")
        lines.logger.configure(context_from={})
        lines.logger.info("c")
        assert [line.rstrip() for line in lines.lines()] == ["a x=1", "b z=3", "c"]


@pytest.mark.parametrize("wrong", [{"a": 1}, {1: ContextVar("v")}, {"a": None}])
def test_what_is_no_source_names_the_field(wrong: dict[Any, Any]) -> None:
    with pytest.raises(ConfigError, match=r"context_from\[.*a ContextVar, or a function"):
        Logger(LoggerConfig(context_from=wrong))


def test_a_coroutine_function_is_refused() -> None:
    async def source() -> int:
        return 1

    with pytest.raises(ConfigError, match=r"context_from\['a'\]"):
        Logger(context_from={"a": source})
