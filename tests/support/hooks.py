"""What the core has for tests alone. Without LOGLY_BUILD=probe it is not there, and a test that needs it is skipped."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from logly import _core
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType

    from logly import Logger


def hook(name: str) -> Any:
    found = getattr(_core, name, None)
    if found is None:
        pytest.skip("built with LOGLY_BUILD=probe only")
    return found


def inject_outcomes(logger: Logger, sink: int, outcomes: list[int]) -> None:
    """What the sink's next writes do: each minus an errno, or the most bytes that it takes."""
    hook("inject_outcomes")(logger._controller.sinks[sink].handle, outcomes)


def set_repeat_time(logger: Logger, sink: int, now_ns: int) -> None:
    """What time it is for the repeats of what is logged now on. What is due by then is told."""
    hook("set_repeat_time")(logger._controller.sinks[sink].handle, now_ns)


def ring_count(logger: Logger) -> int:
    """Rings that there are: one, or one per thread without a GIL."""
    return hook("ring_count")(logger._controller.core)  # type: ignore[no-any-return]


def registry_counts() -> tuple[int, int]:
    """(templates, call sites) that have a place."""
    return hook("registry_counts")()  # type: ignore[no-any-return]


def place_counts() -> tuple[int, int]:
    """(entries of tracebacks that have a number, bytes of their texts)."""
    return hook("place_counts")()  # type: ignore[no-any-return]


def limit_registry(templates: int | None = None, sites: int | None = None, places: int | None = None) -> None:
    """How many templates, call sites and places are numbered from now on; None: as many as there is room for."""
    hook("limit_registry")(templates, sites, places)


def is_as_full_with_another(logger: Logger) -> tuple[bool, bool]:
    """Whether a caller that found its ring full goes on waiting: (as it is, once another ring has its memory)."""
    return hook("is_as_full_with_another")(logger._controller.core)  # type: ignore[no-any-return]


def alias_counts() -> tuple[int, int]:
    """(str objects by which templates are found, code objects that have call sites)."""
    return hook("alias_counts")()  # type: ignore[no-any-return]


def collect_names() -> bool:
    """Gives back the numbers of names that were given up. Returns whether all of them are back."""
    return hook("collect_names")()  # type: ignore[no-any-return]


def await_names() -> None:
    """Waits until no number of a name is held by what earlier tests have left behind."""
    gc.collect()  # a logger in a cycle may have a recorder, whose records hold the numbers in them
    wait_until(collect_names, "the engines")


def has_template(text: str, *, percent: bool = False) -> bool:
    """Whether the message has a number; `percent`: as a template of `logging`."""
    return hook("has_template")(text, percent)  # type: ignore[no-any-return]


def has_site(code: CodeType) -> bool:
    """Whether a call site of the code object has a number."""
    return hook("has_site")(code)  # type: ignore[no-any-return]


@contextmanager
def recent_clock() -> Iterator[Callable[[float], None]]:
    """Inside the ``with``, limits and sampling go by the seconds that the given function was last called with."""
    set_ns = hook("set_recent_clock")

    def set_to(seconds: float) -> None:
        set_ns(round(seconds * 1e9))

    set_to(1000.0)
    try:
        yield set_to
    finally:
        set_ns(None)
