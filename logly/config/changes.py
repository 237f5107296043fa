"""Settings by keyword: laid over settings that there are, or, with a target, settings of a new sink."""

from logly.errors import ConfigError, invalid, show

from .lazy_dataclass import NOT_GIVEN, fields, replace
from .schema import LoggerConfig, SinkConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeVar

    Settings = TypeVar("Settings", LoggerConfig, SinkConfig)

__all__ = ["changed", "logger_settings", "sink_settings"]


_STREAM_NAMES = ("stdout", "stderr")


def changed(config: "Settings", changes: "Mapping[str, Any]") -> "Settings":
    """Return a copy of `config` with these fields changed; their values are not checked.

    Raises:
        ConfigError: names are not fields'; the message says for each what to write instead.
    """
    names = [one.name for one in fields(config)]
    unknown = [name for name in changes if name not in names]
    if unknown:
        from .hints import setting_hint

        texts = []
        for name in unknown:
            hint = setting_hint(name, names, is_sink=isinstance(config, SinkConfig))
            texts.append(f"{name} = {show(changes[name])}: there is no such setting; {hint}")
        raise ConfigError("\n".join(texts), field=unknown[0], value=changes[unknown[0]])
    made: Settings = replace(config, **changes)
    return made


def logger_settings(config: "Any", name: "Any", settings: "Mapping[str, Any]") -> LoggerConfig:
    """The settings of a new logger: those of `config`, and those by keyword, which go before them.

    Raises:
        ConfigError: `config` or `name` is of another type, or there is no such setting.
    """
    if not isinstance(name, str):
        raise invalid("name", name, "a str, or leave name out")
    if isinstance(config, str):
        text = (
            f"config = {show(config)} is not valid: use logly.get_logger({config!r}), which shares the sinks of "
            f"logly.logger, or Logger(name={config!r}); a level is Logger(level='debug')"
        )
        raise ConfigError(text, field="config", value=config)
    if config is None:
        config = LoggerConfig()
    if not settings:
        return config  # type: ignore[no-any-return]  # checked where it is used
    if not isinstance(config, LoggerConfig):
        raise invalid("config", config, "a LoggerConfig, or settings by keyword: Logger(level='debug')")
    return changed(config, settings)


def sink_settings(target: "Any", settings: "Mapping[str, Any]") -> SinkConfig:
    """The settings of a new sink.

    Args:
        target: a `SinkConfig`, a path, a stream or a function; `NOT_GIVEN`: the settings say it, or it is the console.
        settings: settings by name, which go before those of a `SinkConfig`.

    Raises:
        ConfigError: `target` is of another type, or there is no such setting.
    """
    if target is NOT_GIVEN:
        return changed(SinkConfig(), settings)
    if isinstance(target, SinkConfig):
        return changed(target, settings)
    field = _field_of(target)
    if field in settings:
        text = f"{field} = {show(settings[field])}: the first argument already is the sink's {field}; leave one out"
        raise ConfigError(text, field=field, value=settings[field])
    return changed(SinkConfig(), {field: target, **settings})


def _field_of(target: "Any") -> str:
    """The setting of a sink that this is a value for."""
    if isinstance(target, str):
        if target.strip("<>").lower() in _STREAM_NAMES:
            word = target.strip("<>").lower()
            text = f"{target!r} would be a file: use sys.{word} or stream={word!r}, or './{word}' for a file's name"
            raise ConfigError(text, field="path", value=target)
        return "path"
    if hasattr(type(target), "__fspath__"):
        return "path"
    if callable(getattr(target, "write", None)):
        return "stream"
    if callable(target):
        return "function"
    expected = "a path, a stream, a function or a SinkConfig"
    if isinstance(target, int) and not isinstance(target, bool):
        expected += f"; a descriptor is fd={target}"
    elif callable(getattr(target, "emit", None)):
        expected += "; a handler of logging is logly.StdlibSink(handler)"
    raise invalid("config", target, expected)
