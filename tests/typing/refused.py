"""What must not pass: each `type: ignore` names the error, and mypy says so when there is none (unused-ignore)."""

from logly import Logger, LoggerConfig, Record, SinkConfig
from logly.http import HttpSink


def log_calls(logger: Logger) -> None:
    logger.info()  # type: ignore[call-arg]
    logger.info(message="by keyword only")  # type: ignore[call-arg]
    logger.log("notice")  # type: ignore[call-arg]
    logger.log(1.5, "a float is no level")  # type: ignore[arg-type]
    logger.inform("a misspelt name")  # type: ignore[attr-defined]
    text: str = logger.info("returns None")  # type: ignore[assignment, func-returns-value]
    print(text)


def light_loggers(logger: Logger) -> None:
    logger.once("text")  # type: ignore[call-arg]
    logger.first()  # type: ignore[call-arg]
    logger.every("100")  # type: ignore[arg-type]
    logger.limit(5)  # type: ignore[arg-type]
    logger.limit("5/s", "key")  # type: ignore[call-arg]
    logger.once(key=[])  # type: ignore[arg-type]
    logger.once().once()  # type: ignore[attr-defined]
    LoggerConfig(sampling=(1, 2, 3))  # type: ignore[arg-type]


def configuration() -> None:
    LoggerConfig("debug")  # type: ignore[call-arg]
    LoggerConfig(levle="debug")  # type: ignore[call-arg]
    LoggerConfig(overflow="wait")  # type: ignore[arg-type]
    config = LoggerConfig()
    config.timezone = 1  # type: ignore[assignment]
    config.nothing = 1  # type: ignore[attr-defined]
    SinkConfig(path=7)  # type: ignore[arg-type]
    SinkConfig(newlines="fold")  # type: ignore[arg-type]
    SinkConfig(stream="syslog")  # type: ignore[arg-type]
    SinkConfig(batch=len)  # type: ignore[arg-type]
    HttpSink("http://h", envelope="otpl")  # type: ignore[arg-type]


def sinks(logger: Logger) -> None:
    logger.add_sink(1)  # type: ignore[arg-type]
    logger.add("logs/app.log")  # type: ignore[attr-defined]
    logger.notice("mypy does not know the levels of a program")  # type: ignore[attr-defined]
    logger.remove_sink("1")  # type: ignore[arg-type]
    number: str = logger.add_sink(SinkConfig())  # type: ignore[assignment]
    print(number)


def keep(record: Record) -> str:
    return "yes"


def filters(logger: Logger) -> None:
    logger.add_sink(SinkConfig(filter=keep))  # type: ignore[arg-type]
    logger.contextualize({"job": 1})  # type: ignore[call-arg]
    logger.set_context({"job": 1})  # type: ignore[call-arg]
    Logger(LoggerConfig(context_from="user"))  # type: ignore[arg-type]
    Logger(LoggerConfig(context_from=lambda: 3))  # type: ignore[arg-type,return-value]
    Logger(LoggerConfig(trace_context="zipkin"))  # type: ignore[arg-type]


Logger().configure("debug")  # type: ignore[arg-type]
Logger().catch(exclude="ValueError")  # type: ignore[call-overload]
Logger().catch(onerror=3)  # type: ignore[call-overload]


@Logger().catch
def divide(a: int, b: int) -> float:
    return a / b


divide("a", 1)  # type: ignore[arg-type]
