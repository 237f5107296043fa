"""Words that are nearly right: the error says the right one."""

from __future__ import annotations

from typing import Any

import pytest

from logly import ConfigError, Logger


@pytest.mark.parametrize("level", ["info,shop.pricing:debug", "shop.pricing:debug", "shop.pricing: DEBUG"])
def test_a_colon_in_a_level_is_meant_as_an_equals_sign(level: str) -> None:
    with pytest.raises(ConfigError, match=r"write 'shop.pricing=(debug|DEBUG)'"):
        Logger(level=level)


@pytest.mark.parametrize(("given", "told"), [("1/min", "'1/m'"), ("5/sec", "'5/s'"), ("2/Hours", "'2/h'")])
def test_a_unit_that_is_written_out_in_limit(given: str, told: str) -> None:
    with Logger(auto_sink=False) as logger, pytest.raises(ConfigError, match=rf"did you mean {told}\?"):
        logger.limit(given).info("x")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"rotation": "nightly"}, "'yearly', 'midnight', 'HH:MM', or an interval"),
        ({"rotation": "daily", "compression": "rar"}, "use 'gzip', .*'zstd', or None"),
    ],
)
def test_what_is_accepted_is_listed(settings: dict[str, Any], told: str) -> None:
    with Logger(auto_sink=False) as logger, pytest.raises(ConfigError, match=told):
        logger.add_sink("app.log", **settings)


def test_rotate_is_rotation() -> None:
    with Logger(auto_sink=False) as logger, pytest.raises(ConfigError, match="use rotation="):
        logger.add_sink("app.log", rotate="daily")
