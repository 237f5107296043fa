"""Which records a sink takes: levels, modules, functions, callables."""

import types
from pathlib import Path

import pytest

from logly import ConfigError, Level, Logger, SinkConfig
from logly.record import Record
from tests.support.loggers import make_logger


def caller_in(module: str) -> types.FunctionType:
    """A function that logs, as if it stood in a module of this name."""
    names: dict[str, types.FunctionType] = {"__name__": module}  # type: ignore[dict-item]
    exec("def emit(logger, text):\n    logger.info(text)\n\ndef other(logger, text):\n    logger.info(text)\n", names)
    return names["emit"]


def messages(tmp_path: Path, config: SinkConfig, emit: object) -> list[str]:
    path = tmp_path / "app.log"
    config.path, config.format = path, "{message}"
    with make_logger(level="trace") as logger:
        logger.add_sink(config)
        emit(logger)  # type: ignore[operator]
    return path.read_text().splitlines()


def log_each_level(logger: Logger) -> None:
    for level in Level:
        if level > 0:
            logger.log(level, level.name)


def test_a_range_of_levels(tmp_path: Path) -> None:
    config = SinkConfig(filter_min_level="info", filter_max_level=Level.WARNING)
    assert messages(tmp_path, config, log_each_level) == ["INFO", "SUCCESS", "WARNING"]


def test_the_lowest_sink_decides_what_is_taken(tmp_path: Path) -> None:
    with make_logger(level="debug") as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "errors.log", filter_min_level="error"))
        assert not logger.is_enabled_for("warning")
        sink = logger.add_sink(SinkConfig(path=tmp_path / "all.log"))
        assert logger.is_enabled_for("debug")
        assert not logger.is_enabled_for("trace")
        logger.remove_sink(sink)
        assert not logger.is_enabled_for("warning")


@pytest.mark.parametrize(
    ("wanted", "passing"),
    [
        ("app", ["app", "app.db", "app.db.sql"]),
        ("app.db", ["app.db", "app.db.sql"]),
        (["app.db.sql", "apple"], ["app.db.sql", "apple"]),
        ("ap", []),
    ],
)
def test_a_module_and_what_is_below_it(tmp_path: Path, wanted: str | list[str], passing: list[str]) -> None:
    emitters = {name: caller_in(name) for name in ("app", "app.db", "app.db.sql", "apple", "other")}

    def emit(logger: Logger) -> None:
        for _ in range(2):  # the second time, the decision comes from the table
            for name, function in emitters.items():
                function(logger, name)

    assert messages(tmp_path, SinkConfig(filter_module=wanted), emit) == passing * 2


def test_functions_by_name(tmp_path: Path) -> None:
    emit = caller_in("m")
    other = emit.__globals__["other"]

    def emit_both(logger: Logger) -> None:
        for _ in range(2):
            emit(logger, "emit")
            other(logger, "other")

    assert messages(tmp_path, SinkConfig(filter_function="other"), emit_both) == ["other"] * 2
    (tmp_path / "app.log").unlink()
    assert messages(tmp_path, SinkConfig(filter_function=["other", "emit"]), emit_both) == ["emit", "other"] * 2


def test_a_callable_sees_the_record_and_decides(tmp_path: Path) -> None:
    def odd(record: Record) -> bool:
        return bool(record.fields["number"] % 2)

    def emit(logger: Logger) -> None:
        for i in range(1000):
            logger.info("{}", i, number=i)

    assert messages(tmp_path, SinkConfig(filter=odd), emit) == [str(i) for i in range(1, 1000, 2)]


def test_a_filter_that_fails_loses_its_record_only_and_is_counted(tmp_path: Path) -> None:
    told: list[Exception] = []
    logger = make_logger(on_error=told.append)
    sink = logger.add_sink(
        SinkConfig(path=tmp_path / "app.log", format="{message}", filter=lambda record: 6 // int(record.message) > 0)
    )
    for i in range(4):
        logger.info("{}", i)
    assert logger.flush(20)
    assert (tmp_path / "app.log").read_text() == "1\n2\n3\n"
    assert logger.sink_stats(sink).failed == 1
    logger.close()
    assert isinstance(told[0], ZeroDivisionError)


def test_a_filter_that_logs_does_not_loop(tmp_path: Path) -> None:
    def chatty(record: Record) -> bool:
        logger.info("asked about {}", record.message)
        return True

    logger = make_logger()
    logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}", filter=chatty))
    logger.add_sink(SinkConfig(path=tmp_path / "all.log", format="{message}"))
    logger.info("x")
    assert logger.close(20)
    assert (tmp_path / "app.log").read_text() == "x\n"
    assert (tmp_path / "all.log").read_text() == "x\nasked about x\n"


def test_a_filtered_sink_rotates_at_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    with make_logger() as logger:
        logger.add_sink(SinkConfig(path=path, format="{message}", size_limit=1000, filter=lambda record: True))
        for i in range(2000):
            logger.info("{:04}", i)
    files = [*sorted(tmp_path.glob("app_*.log")), path]
    assert [line for file in files for line in file.read_text().splitlines()] == [f"{i:04}" for i in range(2000)]
    assert {file.stat().st_size for file in files} == {1000}


def test_levels_the_wrong_way_round_are_refused() -> None:
    with make_logger() as logger, pytest.raises(ConfigError, match="filter_max_level"):
        logger.add_sink(SinkConfig(filter_min_level="error", filter_max_level="info"))
