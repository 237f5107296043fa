"""What users write: `mypy --strict` and pyright must accept all of it. Checked, never run."""

import asyncio
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_type

import logly
from logly import (
    BatchRefused,
    ConfigError,
    Fields,
    Level,
    LightLogger,
    Logger,
    LoggerConfig,
    LoglyError,
    Record,
    RecordException,
    Records,
    RetryBatch,
    SinkConfig,
    SinkError,
    SinkStats,
    Stats,
    capture,
    get_logger,
)
from logly.http import Envelope, HttpSink


def captures(logger: Logger) -> None:
    with capture(logger, level="debug") as records, capture():
        assert_type(records, Records)
        assert_type(records[0], Record)
        assert_type(records.messages, list[str])
        assert records == [("INFO", "text", {"a": 1})]
    LoggerConfig(time_source=lambda: 1)


def light_loggers(logger: Logger) -> None:
    assert_type(logger.once(), LightLogger)
    assert_type(logger.first(10, key="host"), LightLogger)
    assert_type(logger.every(100, key=("host", 1)), LightLogger)
    assert_type(logger.limit("5/s", key=None).bind(a=1), LightLogger)
    logger.limit("5/s").error("retry {} {name}", 3, name="x", exc_info=True)
    logger.once().exception("why")
    logger.once().log("notice", "text")
    if logger.once().is_enabled_for(Level.DEBUG):
        LoggerConfig(sampling=(100, 10), sampling_level="critical")


def log_calls(logger: Logger) -> None:
    logger.trace("one")
    logger.debug("two {}", 2)
    logger.info("three {} {name}", 3, name="x", nested={"a": [1, 2]})
    logger.success(Path("any object"))
    logger.warning("four", exc_info=True)
    logger.error("five", exc_info=ValueError("x"), stacklevel=2)
    logger.fail("six")
    logger.critical(b"seven")
    logger.exception("eight {}", 8, key="value")
    logger.warn("four again")
    logger.log("notice", "nine")
    logger.log(Level.INFO, "ten {}", 10)
    logger.log(35, "eleven", level="a field", self="another", message="a third")


class LoggerWithNotice(Logger):
    """How a program tells type checkers of its own levels."""

    __slots__ = ()

    if TYPE_CHECKING:

        def notice(self, message: object, /, *args: Any, **fields: Any) -> None: ...


def short_forms(logger: LoggerWithNotice) -> None:
    logger.notice("text {}", 1)
    assert_type(Logger(level="debug", json=True, name="shop"), Logger)
    assert_type(logger.add_sink("app.log", rotation="daily", level="debug"), int)
    logger.add_sink(Path("app.log"))
    logger.add_sink(sys.stderr, color=True)
    logger.add_sink(print)
    logger.add_sink(json=True)
    SinkConfig("app.log", level="debug")
    SinkConfig(Path("app.log"))


def configuration() -> LoggerConfig:
    config = LoggerConfig(level="debug", overflow="drop", on_error=print, level_colors={Level.INFO: "bold"})
    config.level = Level.TRACE
    config.async_buffer_size = "8 KiB"
    config.async_flush_interval = 0.5
    config.flush_level = None
    config.spool = Path("run/app.spool")
    config.spool_fsync = 100
    config.validate()
    assert_type(config.copy(), LoggerConfig)
    return config


def send(lines: bytes, count: int) -> None:
    raise RetryBatch(f"{count}", after=1.5, again=[0], refused=range(1, 3)) from BatchRefused("no", refused=2)


def keep(record: Record) -> bool:
    return record.level_number >= Level.WARNING and record.fields.get("user") is not None


def show(record: Record) -> None:
    assert_type(record.level, str)
    assert_type(record.time_ns, int)
    assert_type(record.filename, str)
    if record.exception is not None:
        assert_type(record.exception, RecordException)
        assert_type(record.exception.stack, str)


def sinks(logger: Logger) -> None:
    number = logger.add_sink(SinkConfig(path="logs/app.log", rotation=timedelta(days=1), size_limit="10 MB"))
    assert_type(number, int)
    logger.add_sink(SinkConfig(path=Path("x"), retention=7, compression="gzip", mode=0o600, watch=True))
    logger.add_sink(SinkConfig(stream="stdout", color="line", filter=keep))
    logger.add_sink(SinkConfig(stream=sys.stderr, newlines="indent", filter_module=["a", "b"]))
    logger.add_sink(SinkConfig(fd=1, json=True, flush_interval=0))
    logger.add_sink(SinkConfig(batch=send, batch_bytes="64 KiB", batch_backlog=1 << 20))
    collector = HttpSink("https://collector:4318", envelope="otlp", headers={"X-Key": "k"}, proxy="", ca=Path("ca.pem"))
    logger.add_sink(SinkConfig(batch=collector, format="otlp"))
    HttpSink("https://search:9200", envelope="elasticsearch", index="logs-shop", ssl_context=None)
    HttpSink("https://search:9200", envelope=Envelope(), cert=("a.pem", "b.pem"), compression=None)
    logger.add_sink(SinkConfig(function=show, filter_min_level="warning", filter_max_level=Level.CRITICAL))
    logger.add_sink(SinkConfig(socket="tls://logs:6514", tls=Path("ca.pem"), facility="local0", sd_id="a@1", bom=True))
    assert_type(SinkConfig.syslog(facility=3, level="info"), SinkConfig)
    assert_type(SinkConfig.journald("unix:/run/systemd/journal.shop/socket", app_name="shop"), SinkConfig)
    assert_type(logger.remove_sink(number), bool)
    assert_type(logger.remove_all_sinks(), int)
    assert_type(logger.list_sinks(), list[int])
    assert_type(logger.enable_sink(1), bool)
    assert_type(logger.disable_sink(1), bool)
    assert_type(logger.sink_stats(1), SinkStats)


def life() -> None:
    with Logger(configuration(), name="app") as logger:
        assert_type(logger, Logger)
        assert_type(logger.flush(timeout=1.5), bool)
        assert_type(logger.named("db").named("pool"), Logger)
        assert_type(get_logger(), Logger)
        assert_type(get_logger(__name__).name, str)
        assert_type(logger.is_enabled_for("info"), bool)
        stats = logger.stats()
        assert_type(stats, Stats)
        assert_type(stats.emitted - stats.written - stats.dropped - stats.failed, int)
        logger.configure(LoggerConfig(level=10))
        logger.configure(config=configuration(), level="debug")
        logger.configure(level=Level.DEBUG, spool=Path("run/app.spool"), on_error=print)
        logger.add_level("notice", 22, color="bold cyan")
        logger.enable()
        logger.disable()
        logger.reopen()
        assert_type(logger.close(), bool)
    assert_type(Logger.from_file("logly.toml"), Logger)
    assert_type(Logger.from_dict({"level": "debug"}, name="x"), Logger)
    assert_type(logly.logger, Logger)
    assert_type(logly.__version__, str)


def fields(logger: Logger) -> None:
    request = logger.bind(request_id="c0ffee", user=7)
    assert_type(request, Logger)
    assert_type(request.unbind("user"), Logger)
    with logger.contextualize(job="nightly"):
        logger.info("inside")
    logger.set_context(request_id="c0ffee", user=7)
    logger.clear_context()
    current: ContextVar[Fields | None] = ContextVar("current", default=None)
    current.set(logly.fields(user="ann", tenant=7))
    assert_type(logly.fields(user="ann"), Fields)
    logger.configure(context_from=current, trace_context="opentelemetry")
    of_dicts: ContextVar[dict[str, int]] = ContextVar("of_dicts")
    Logger(LoggerConfig(context_from=of_dicts))
    Logger(LoggerConfig(context_from=current.get))
    Logger(LoggerConfig(context_from=lambda: {"user": "ann"}))


class AppLogger(Logger):
    def audit(self, who: str) -> None:
        self.info("audit", who=who, stacklevel=2)


def subclass() -> None:
    assert_type(AppLogger().bind(a=1), AppLogger)
    with AppLogger() as logger:
        logger.audit("ann")


def told(error: BaseException) -> None:
    print(error)


def decorators(logger: Logger) -> None:
    @logger.contextualize(job="nightly")
    def job(count: int) -> str:
        return "x" * count

    @logger.catch
    def divide(a: int, b: int) -> float:
        return a / b

    @logger.catch(ZeroDivisionError, level="critical", reraise=True, message="in {function}")
    def ratio(a: int, b: int) -> float:
        return a / b

    @logger.catch(default=[])
    async def fetch(url: str) -> list[str]:
        return [url]

    @logger.catch(exception=(KeyError, OSError))
    def numbers() -> Iterator[int]:
        yield 1

    @logger.catch(exclude=(KeyError, SystemExit), onerror=told)
    def excluding(name: str) -> str:
        return name

    with logger.catch(BaseException, exclude=KeyboardInterrupt, onerror=lambda error: sys.exit(str(error))):
        assert_type(excluding("x"), str)
    with logger.catch(ValueError, level=Level.WARNING):
        raise ValueError
    assert_type(job(3), str)
    assert_type(divide(1, 2), float)
    assert_type(asyncio.run(fetch("x")), list[str])
    for number in numbers():
        assert_type(number, int)


def errors() -> None:
    try:
        life()
    except ConfigError as error:
        assert_type(error.field, str | None)
        value: ValueError = error
        print(value)
    except SinkError as error:
        assert_type(error.errno, int | None)
    except LoglyError:
        raise
