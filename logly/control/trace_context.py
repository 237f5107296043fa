"""Where OpenTelemetry keeps the current span. Imported where `LoggerConfig.trace_context` asks for it.

OpenTelemetry keeps its current context in a ContextVar, which is not part of its public interface. So the variable is
found: a context of logly's own is attached, and the variable that then holds this very context is the one.
"""

from __future__ import annotations

from _contextvars import copy_context  # the compiled one, which the core reads
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import ContextVar
    from typing import Any

__all__ = ["find_span_variable", "span_fields"]

otel_context: Any = import_module("opentelemetry.context")
otel_trace: Any = import_module("opentelemetry.trace")


def span_fields(context: Any = None) -> dict[str, Any]:
    """The fields of the span of a context of OpenTelemetry; empty without a valid one. None: the current context."""
    span = otel_trace.get_current_span(context).get_span_context()
    if not span.is_valid:
        return {}
    return {
        "trace_id": f"{span.trace_id:032x}",
        "span_id": f"{span.span_id:016x}",
        "trace_flags": int(span.trace_flags),
    }


def find_span_variable() -> ContextVar[Any] | None:
    """The ContextVar that holds OpenTelemetry's current context; None: it has another place for that."""
    # In a copy of the present context, so that nothing of this is left.
    return copy_context().run(_find)


def _find() -> ContextVar[Any] | None:
    try:
        probe, other = (otel_context.set_value("logly", object()) for _ in range(2))
        token = otel_context.attach(probe)
        try:
            for variable in copy_context():
                if variable.get(None) is probe:
                    variable.set(other)
                    # Another implementation may keep it there, and compute what it gives back.
                    return variable if otel_context.get_current() is other else None
        finally:
            otel_context.detach(token)
    except RecursionError:
        raise
    except Exception:  # noqa: BLE001  # an implementation that is not OpenTelemetry's own
        return None
    return None
