"""The settings `context_from` and `trace_context`, made into what log calls read."""

from __future__ import annotations

from logly._core import ContextSources, use_sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logly._core import Core
    from logly.config.schema import LoggerConfig

    from .plan import Plan

__all__ = ["plan_sources"]


def plan_sources(plan: Plan, core: Core, config: LoggerConfig) -> None:
    plan.call(use_sources, core, sources_of(config))


def sources_of(config: LoggerConfig) -> ContextSources | None:
    if config.trace_context is not None:
        from .trace_context import find_span_variable, span_fields

        return ContextSources(config.context_from, find_span_variable(), span_fields)
    return ContextSources(config.context_from, None, None) if config.context_from is not None else None
