"""The bridge to the standard library's `logging`, both ways."""

import inspect
import json
import logging
from pathlib import Path

import pytest

import logly
from logly import Logger, LoggerConfig, SinkConfig


@pytest.fixture
def std() -> logging.Logger:
    return logging.Logger("app.orders", logging.DEBUG)


def json_logger(path: Path) -> Logger:
    logger = Logger(LoggerConfig(level="TRACE"))
    logger.add_sink(SinkConfig(path=path, json=True))
    return logger


def records(logger: Logger, path: Path) -> list[dict[str, object]]:
    assert logger.flush(30)
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_logging_record_keeps_its_site_level_and_extra(tmp_path: Path, std: logging.Logger) -> None:
    with json_logger(tmp_path / "a.json") as logger:
        std.addHandler(logly.StdlibHandler(logger))
        std.warning("order %d of %s", 7, "ann", extra={"order": 7, "tags": ["new"]})
        line = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]
        std.log(37, "odd level, {braces} stay")
        first, second = records(logger, tmp_path / "a.json")
    assert first["message"] == "order 7 of ann"
    assert (first["level"], first["module"], first["lineno"]) == ("WARNING", "app.orders", line)
    assert first["function"] == "test_a_logging_record_keeps_its_site_level_and_extra"
    assert (first["order"], first["tags"]) == (7, ["new"])
    assert (second["message"], second["level"]) == ("odd level, {braces} stay", "LEVEL 37")


def test_an_exception_crosses_the_bridge(tmp_path: Path, std: logging.Logger) -> None:
    with json_logger(tmp_path / "a.json") as logger:
        std.addHandler(logly.StdlibHandler(logger))
        try:
            raise ValueError("bad price")
        except ValueError:
            std.exception("failed")
        (record,) = records(logger, tmp_path / "a.json")
    assert record["exception"]["type"] == "ValueError"  # type: ignore[index]
    assert "ValueError: bad price" in record["exception"]["stack"]  # type: ignore[index]


def test_a_template_that_does_not_fit_goes_the_way_of_every_handler(
    tmp_path: Path, std: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    troubles: list[logging.LogRecord] = []
    monkeypatch.setattr(logly.StdlibHandler, "handleError", lambda self, record: troubles.append(record))
    with json_logger(tmp_path / "a.json") as logger:
        std.addHandler(logly.StdlibHandler(logger))
        std.info("%d", "no number")
        std.info("after")
        assert [record["message"] for record in records(logger, tmp_path / "a.json")] == ["after"]
    assert len(troubles) == 1


def test_levels_of_the_handler_and_of_logly_both_apply(tmp_path: Path, std: logging.Logger) -> None:
    with json_logger(tmp_path / "a.json") as logger:
        logger.configure(LoggerConfig(level="INFO"))
        std.addHandler(logly.StdlibHandler(logger, logging.ERROR))
        std.addHandler(logly.StdlibHandler(logger))
        std.debug("for nobody")
        std.info("once")
        std.error("twice")
        messages = [record["message"] for record in records(logger, tmp_path / "a.json")]
    assert messages == ["once", "twice", "twice"]


def test_pytests_caplog_sees_loglys_records(caplog: pytest.LogCaptureFixture) -> None:
    with Logger() as logger, caplog.at_level(logging.INFO):
        logger.add_sink(SinkConfig(function=logly.StdlibSink(logging.getLogger("bridge"))))
        logger.info("order {} filled", 42, symbol="ABCD")
        line = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]
        try:
            raise KeyError("k")
        except KeyError:
            logger.exception("failed")
        assert logger.flush(30)
    first, second = caplog.records
    assert (first.name, first.getMessage(), first.levelname) == ("bridge", "order 42 filled", "INFO")
    assert (first.lineno, first.filename, first.funcName) == (
        line,
        "test_stdlib.py",
        "test_pytests_caplog_sees_loglys_records",
    )
    assert first.symbol == "ABCD"  # type: ignore[attr-defined]
    assert "KeyError: 'k'" in caplog.text
    assert second.levelno == logging.ERROR


def test_a_field_does_not_replace_what_logging_says_of_a_record() -> None:
    seen: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record)

    with Logger() as logger:
        logger.add_sink(SinkConfig(function=logly.StdlibSink(Keep(logging.INFO))))
        logger.info("text", lineno=-1, args=5, mine=1)
        assert logger.flush(30)
    (record,) = seen
    assert record.lineno > 0
    assert (record.getMessage(), record.mine) == ("text", 1)  # type: ignore[attr-defined]


def test_a_circle_of_both_ends(tmp_path: Path, std: logging.Logger) -> None:
    with json_logger(tmp_path / "a.json") as logger:
        logger.add_sink(SinkConfig(function=logly.StdlibSink(std)))
        std.addHandler(logly.StdlibHandler(logger))
        logger.info("round")
        assert logger.flush(30)
        assert logger.flush(30)
        messages = [record["message"] for record in records(logger, tmp_path / "a.json")]
    assert messages == ["round", "round"]


def test_a_traceback_that_was_made_elsewhere_is_kept(tmp_path: Path, std: logging.Logger) -> None:
    """A QueueHandler (or a socket) turns `exc_info` into text before it hands the record on."""
    path = tmp_path / "app.log"
    with json_logger(path) as logger:
        formatter = logging.Formatter("%(message)s")
        record = std.makeRecord("app", logging.ERROR, "file.py", 3, "failed", (), None)
        try:
            raise KeyError("lost")
        except KeyError as error:
            record.exc_text = formatter.formatException((type(error), error, error.__traceback__))
        logly.StdlibHandler(logger).handle(record)
        [found] = records(logger, path)
    assert str(found["message"]).startswith("failed\nTraceback (most recent call last):\n")
    assert str(found["message"]).endswith("KeyError: 'lost'")


@pytest.mark.parametrize("make", [logly.StdlibHandler, logly.StdlibSink])
def test_something_else_in_the_place_of_a_logger_is_told_at_once(make) -> None:
    with pytest.raises(logly.ConfigError, match=r"'app\.logger' is not valid: use a log(ly|ging)"):
        make("app.logger")


def test_a_forgotten_ext_is_suggested() -> None:
    with pytest.raises(logly.ConfigError, match=r"ext://app\.logger"):
        logly.StdlibHandler("app.logger")  # type: ignore[arg-type]
