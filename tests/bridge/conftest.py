"""Fixtures of the tests of `install`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.bridge.oracle import KINDS, Stage, compare

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

if TYPE_CHECKING:
    Play = Callable[["Stage"], Any]


@pytest.fixture(params=KINDS)
def played(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Play], Stage]:
    """Has a play played with and without `install`, and compares; once for each kind of handler."""
    return lambda play, **options: compare(play, request.param, tmp_path, **options)
