"""What travels with a logger: by every protocol of pickle, the attributes of an object of a subclass."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from logly import Logger, LoggerConfig, capture
from tests.support.log_files import lines_of
from tests.support.loggers import file_logger


def sent(logger: Logger) -> Any:
    return pickle.loads(pickle.dumps(logger))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_of_pickle(tmp_path: Path, protocol: int) -> None:
    logger = file_logger(
        tmp_path / "log", sink={"level": "info,shop=debug"}, level="info", custom_levels={"NOTICE": 22}
    )
    logger.add_level("AUDIT", 33, "red")
    child = logger.named("shop").bind(a=1, b=["x"], c=10**30)
    assert pickle.loads(pickle.dumps(child, protocol))._controller is logger._controller
    parcel = pickle.dumps(child, protocol)
    logger.close()
    del logger, child
    copy = pickle.loads(parcel)
    assert copy.name == "shop"
    with capture(copy) as records:
        copy.log("audit", "there")
    assert records == [("AUDIT", "there", {"a": 1, "b": ["x"], "c": 10**30})]
    copy.close()
    assert lines_of(tmp_path / "log") == ["there"]


class Own(Logger):
    """With attributes of its own."""


def test_a_subclass_keeps_its_attributes() -> None:
    with Own(LoggerConfig(auto_sink=False)) as logger:
        logger.tenant = "a"  # type: ignore[attr-defined]
        same = sent(logger)
        assert type(same) is Own
        assert same.tenant == "a"


class Slotted(Own):
    __slots__ = ("__private", "tenant_id", "unset")

    def set_private(self, value: object) -> Slotted:
        self.__private = value
        return self

    def private(self) -> object:
        return self.__private


class WithState(Logger):
    __slots__ = ("value",)
    value: str

    def __getstate__(self) -> str:
        return self.value + "!"

    def __setstate__(self, state: str) -> None:
        self.value = state


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_subclass_keeps_its_slots_and_its_own_state(protocol: int) -> None:
    with Slotted(LoggerConfig(auto_sink=False)) as logger:
        logger.tenant_id = "a"
        logger.more = "b"  # type: ignore[attr-defined]
        same = pickle.loads(pickle.dumps(logger.set_private(5), protocol))
        assert (same.tenant_id, same.more, same.private()) == ("a", "b", 5)
        assert not hasattr(same, "unset")
    with WithState(LoggerConfig(auto_sink=False)) as other:
        other.value = "c"
        assert pickle.loads(pickle.dumps(other, protocol)).value == "c!"


class App:
    logger: Any


def test_an_attribute_may_refer_to_the_logger() -> None:
    with Own(LoggerConfig(auto_sink=False)) as logger:
        app = App()
        app.logger, logger.app, logger.me = logger, app, logger  # type: ignore[attr-defined]
        copy = sent(logger)
        assert copy.me is copy
        assert copy.app.logger is copy
        again = pickle.loads(pickle.dumps(app))
        assert again.logger.app is again
