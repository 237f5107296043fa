"""The settings `context_from` and `trace_context`, made into what log calls read."""

from __future__ import annotations

from _contextvars import ContextVar

from logly._core import ContextSources, use_sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from logly._core import Core
    from logly.config.schema import LoggerConfig

    from .plan import Plan

__all__ = ["plan_sources"]


def plan_sources(plan: Plan, core: Core, config: LoggerConfig) -> None:
    plan.call(use_sources, core, sources_of(config))


def sources_of(config: LoggerConfig) -> ContextSources | None:
    source: Any = config.context_from
    if isinstance(source, dict):
        source = _in_one(source)
    if config.trace_context is not None:
        from .trace_context import find_span_variable, span_fields

        return ContextSources(source, find_span_variable(), span_fields)
    return ContextSources(source, None, None) if source is not None else None


def _in_one(by_name: Mapping[str, ContextVar[Any] | Callable[[], Any]]) -> Callable[[], dict[str, Any]]:
    """One function that gives the values of all of them; without those that are unset or None."""
    variables = [(name, one.get) for name in by_name if isinstance(one := by_name[name], ContextVar)]
    functions = [(name, one) for name in by_name if not isinstance(one := by_name[name], ContextVar)]

    def values() -> dict[str, Any]:
        found = {}
        for name, get in variables:
            try:  # with an argument in place of this, `get` ignores the variable's own default
                value = get()
            except LookupError:
                continue
            if value is not None:
                found[name] = value
        for name, read in functions:
            value = read()
            if value is not None:
                found[name] = value
        return found

    return values
