"""What the words of other libraries are called here. Imported only to make the text of an error.

The names come from `logging`, loguru and structlog: what the hands of somebody who comes from there type first.
"""

from logly.errors import ConfigError, nearest, show

from .lazy_dataclass import fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["attribute_hint", "module_hint", "setting_hint", "switch_hint"]

LOGGER_WORDS: "dict[str, str]" = {
    "add": "add_sink('app.log', level='debug'), add_sink(sys.stdout) or add_sink(function)",
    "addFilter": "add_sink(..., filter=function), or levels by name: set_level('info,shop.db=debug')",
    "addHandler": "add_sink('app.log'), or add_sink(logly.StdlibSink(handler)) for a handler of logging",
    "alert": "critical(...), or a level of your own: add_level('alert', 60)",
    "basicConfig": "configure(level='info') and add_sink('app.log')",
    "complete": "flush()",
    "emergency": "critical(...), or a level of your own: add_level('emergency', 70)",
    "fatal": "critical(...)",
    "getChild": "named('child')",
    "getEffectiveLevel": "is_enabled_for(level); explain(level) says why",
    "handlers": "list_sinks()",
    "hasHandlers": "list_sinks()",
    "isEnabledFor": "is_enabled_for(level)",
    "level": "set_level('debug') for the threshold, add_level('notice', 22) for a level of your own; "
    "for records of logging, log(record.levelno, ...) or logly.StdlibHandler(logger)",
    "msg": "info(...)",
    "new": "bind(**fields); unbind('name') takes fields away",
    "notice": "add_level('notice', 22) first; notice(...) can be called then",
    "opt": "exc_info=error, stacklevel=2 or stack_info=True in the log call itself; numbers and texts are always lazy, "
    "functions are not called, and messages have no colours",
    "parse": "a sink with json=True, and json.loads on each of its lines",
    "patch": "add_sink(..., transform=function), bind(**fields), or context_from= for fields read at each call",
    "remove": "remove_sink(id) or remove_all_sinks(); the automatic console goes when a sink is added",
    "removeHandler": "remove_sink(id)",
    "setLevel": "set_level('debug')",
    "start": "add_sink('app.log')",
    "stop": "remove_sink(id)",
    "try_unbind": "unbind('name')",
    "verbose": "debug(...), or a level of your own: add_level('verbose', 15)",
}
"""Attributes that a logger does not have. `_hinted.py` has the same names."""

MODULE_WORDS: "dict[str, str]" = {
    "basicConfig": "logly.logger.configure(level='info') and logly.logger.add_sink('app.log')",
    "bind_contextvars": "logly.logger.set_context(**fields)",
    "captureWarnings": "logly.logger.hook_exceptions(warnings=True)",
    "clear_contextvars": "logly.logger.clear_context()",
    "configure": "logly.logger.configure(...)",
    "contextvars": "logly.logger.contextualize(**fields), set_context(**fields) and clear_context()",
    "dictConfig": "logly.Logger.from_dict(...)",
    "FileHandler": "logly.logger.add_sink('app.log')",
    "Formatter": "logly.logger.add_sink('app.log', format='{time} {level} {message}')",
    "getLogger": "logly.get_logger(name)",
    "intercept": "logly.StdlibHandler(logly.logger), a handler of logging; logly.install() takes all of logging over",
    "InterceptHandler": "logly.StdlibHandler(logly.logger), a handler of logging",
    "Handler": "logly.logger.add_sink(function), called with each Record",
    "RotatingFileHandler": "logly.logger.add_sink('app.log', size_limit='10 MB', retention=5)",
    "StreamHandler": "logly.logger.add_sink(sys.stdout)",
    "TimedRotatingFileHandler": "logly.logger.add_sink('app.log', rotation='daily', retention=14)",
}
"""Names that the module does not have, beside those that the ready-made logger has."""

SINK_SETTINGS: "dict[str, str]" = {
    "atTime": "rotation='12:30'",
    "backtrace": "leave it out, tracebacks begin where the exception was caught; stack_info=True adds the call's stack",
    "backupCount": "retention=5",
    "buffering": "buffer_size=65536",
    "catch": "leave it out, a failing sink never raises in a log call; Logger(on_error=function) is told",
    "colorize": "color=True or color=False",
    "datefmt": "date_style='YYYY-MM-DD HH:mm:ss'",
    "delay": "leave it out, the file is opened when the sink is added",
    "encoding": "leave it out, files are always UTF-8",
    "diagnose": "Logger(diagnose=True) or configure(diagnose=True), of all sinks; values may be secrets",
    "enqueue": "leave it out, a background thread always writes, and several processes may write to one file",
    "errors": "leave it out, what UTF-8 lacks is escaped",
    "filename": "path='app.log'",
    "filemode": "leave it out, files are always appended to",
    "fmt": "format='{time} {level} {message}'",
    "formatter": "format='{time} {level} {message}'",
    "handler": "function=logly.StdlibSink(handler)",
    "interval": "rotation='6 hours'",
    "maxBytes": "size_limit='10 MB'",
    "min_level": "level='debug'",
    "patcher": "transform=function",
    "rotate": "rotation='daily'",
    "serialize": "json=True",
    "sink": "path='app.log', stream=sys.stdout or function=function",
    "style": "leave it out, a format has braces",
    "utc": "Logger(timezone='utc')",
    "when": "rotation='daily'",
}
"""Settings of a sink by what other libraries call them."""

LOGGER_SETTINGS: "dict[str, str]" = {
    "activation": "level='info,noisy=off'",
    "datefmt": "add_sink(..., date_style='YYYY-MM-DD HH:mm:ss')",
    "extra": "bind(**fields)",
    "filename": "add_sink('app.log')",
    "force": "remove_all_sinks()",
    "handlers": "add_sink(...) for each of them",
    "levels": "custom_levels={'NOTICE': 22}",
    "patcher": "add_sink(..., transform=function)",
    "processors": "add_sink(..., transform=function, json=True)",
    "sinks": "add_sink(...) for each of them, or Logger.from_dict",
    "wrapper_class": "level='info'",
}
"""Settings of a logger by what other libraries call them."""


AS_HANDLER = "as a handler of logging use logly.StdlibHandler(logger), or call logly.install() instead"
"""For `logging` itself, which reads the `level` of each handler: a logger was given to `addHandler`."""


def attribute_hint(name: str, kind: str = "Logger", *, reader: object = None) -> str:
    """The text of the error for a name of another library's logger.

    Args:
        name: that name.
        kind: what the object is.
        reader: the name of the module that reads the attribute, where it is known.
    """
    if name == "level" and reader == "logging":
        return f"{kind!r} object has no attribute {name!r}: {AS_HANDLER}"
    return f"{kind!r} object has no attribute {name!r}: use {LOGGER_WORDS[name]}"


def switch_hint(name: object, *, on: bool) -> ConfigError:
    """The error for ``enable("noisy")`` and ``disable("noisy")``, which loguru has: here they switch the whole logger.

    Args:
        name: what was given.
        on: whether it was `enable`.
    """
    word, level = ("enable", "None") if on else ("disable", "'off'")
    text = f"{word}({show(name)}) is not valid: {word}() switches the whole logger. For one name and all below it use "
    return ConfigError(f"{text}named({show(name)}).set_level({level})", field="name", value=name)


def module_hint(name: str, of_logger: "Iterable[str]") -> str:
    """The text of the error for a name that the module does not have.

    Args:
        name: that name.
        of_logger: the names that a logger has.
    """
    text = f"module 'logly' has no attribute {name!r}"
    if name in MODULE_WORDS:
        return f"{text}: use {MODULE_WORDS[name]}"
    if name in of_logger:
        return f"{text}: use logly.logger.{name}, of the ready-made logger"
    if name in LOGGER_WORDS:
        return f"{text}: use logly.logger, and there {LOGGER_WORDS[name]}"
    if name in ("CRITICAL", "DEBUG", "ERROR", "INFO", "SUCCESS", "TRACE", "WARNING"):
        return f"{text}: use logly.Level.{name}, or the name as text, {name.lower()!r}"
    return text


def setting_hint(name: str, names: "Iterable[str]", *, is_sink: bool) -> str:
    """How to write a setting that does not exist under this name.

    Args:
        name: what was given.
        names: the settings that exist.
        is_sink: whether they are those of a sink; else they are those of a logger.
    """
    own, other = (SINK_SETTINGS, LOGGER_SETTINGS) if is_sink else (LOGGER_SETTINGS, SINK_SETTINGS)
    if name in own:
        return f"use {own[name]}" if not own[name].startswith("leave") else own[name]
    from .schema import LoggerConfig, SinkConfig

    is_of_other = name in {one.name for one in fields(LoggerConfig if is_sink else SinkConfig)}
    close = None if is_of_other else nearest(name, names)
    if close:
        return f"did you mean {close!r}?"
    if is_of_other or name in other:
        near = other.get(name, f"{name}=...")
        where = f"Logger({near}) or configure({near})" if is_sink else f"add_sink({near})"
        return f"that is a setting of {'the logger' if is_sink else 'a sink'}: {where}"
    return f"valid are {', '.join(names)}"
