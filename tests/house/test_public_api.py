"""The public interface as /docs and editors see it: names, signatures, docstrings, defaults, types."""

import dataclasses
import importlib.metadata
import inspect
from collections.abc import Iterator
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

import logly
from logly import Level, Logger, LoggerConfig, SinkConfig
from tests.support import ROOT
from tests.support.programs import run_python

pytestmark = pytest.mark.smoke

MIB = 1 << 20

# The contract. A change here is a change of the public interface: it belongs into the changelog.
LOGGER_DEFAULTS: dict[str, Any] = {
    "level": None,
    "async_buffer_size": MIB,
    "async_flush_interval": 100,
    "flush_level": Level.ERROR,
    "overflow": "block",
    "max_message_bytes": 64 * MIB,
    "auto_sink": True,
    "global_console_display": True,
    "global_file_storage": True,
    "global_color_display": True,
    "json": False,
    "pretty_json": False,
    "log_compact": False,
    "show_time": True,
    "show_module": True,
    "show_function": True,
    "show_lineno": True,
    "show_filename": False,
    "level_colors": {},
    "styles": {},
    "custom_levels": {},
    "redact": None,
    "redact_text": False,
    "diagnose": False,
    "sampling": None,
    "sampling_level": Level.ERROR,
    "timezone": "local",
    "encode": {},
    "on_error": None,
    "context_from": None,
    "trace_context": None,
    "spool": None,
    "spool_fsync": None,
    "level_file": None,
    "recorder": None,
    "recorder_size": MIB,
    "recorder_trigger": Level.ERROR,
    "recorder_field": None,
    "time_source": None,
}
SINK_DEFAULTS: dict[str, Any] = {
    "path": None,
    "stream": None,
    "fd": None,
    "function": None,
    "async_write": True,
    "buffer_size": 64 * 1024,
    "flush_interval": None,
    "level": None,
    "filter_min_level": None,
    "filter_max_level": None,
    "filter_module": None,
    "filter_function": None,
    "filter": None,
    "transform": None,
    "format": None,
    "json": None,
    "json_keys": None,
    "json_static": None,
    "json_fields": None,
    "json_time": None,
    "json_level": None,
    "color": None,
    "recorder": True,
    "date_enabled": None,
    "date_style": None,
    "rotation": None,
    "size_limit": None,
    "retention": None,
    "compression": None,
    "watch": False,
    "mode": 0o644,
    "dedup": None,
    "on_rotate": None,
    "socket": None,
    "facility": None,
    "batch": None,
    "batch_bytes": MIB,
    "batch_backlog": 16 * MIB,
}
STATS = [
    "emitted",
    "written",
    "dropped",
    "failed",
    "pending",
    "failed_formats",
    "bytes_written",
    "writes",
    "rotations",
    "write_errors",
    "blocked_ns",
    "ring_high_water",
    "ring_size",
    "refused",
    "kept",
    "overwritten",
    "written_late",
    "suppressed",
]
LOG_CALLS = ("trace", "debug", "info", "success", "warning", "warn", "error", "fail", "critical", "exception")
SIGNATURES = {
    "log": "(self, level, message, /, *args, **fields)",
    "add_sink": "(self, config=..., **settings)",
    "remove_sink": "(self, sink_id)",
    "remove_all_sinks": "(self)",
    "list_sinks": "(self)",
    "enable_sink": "(self, sink_id)",
    "disable_sink": "(self, sink_id)",
    "sink_stats": "(self, sink_id)",
    "configure": "(self, config=None, **changes)",
    "is_enabled_for": "(self, /, level)",
    "flush": "(self, timeout=None)",
    "close": "(self, timeout=None)",
    "reopen": "(self)",
    "enable": "(self, name=None)",
    "disable": "(self, name=None)",
    "bind": "(self, /, **fields)",
    "once": "(self, /, *, key=None)",
    "first": "(self, n, /, *, key=None)",
    "every": "(self, n, /, *, key=None)",
    "limit": "(self, rate, /, *, key=None)",
    "unbind": "(self, *names)",
    "named": "(self, name, /)",
    "contextualize": "(self, /, **fields)",
    "set_context": "(self, /, **fields)",
    "clear_context": "(self)",
    "hook_exceptions": "(self, *, warnings=False, loop=None)",
    "add_level": "(self, name, number, color=None)",
    "stats": "(self)",
    **dict.fromkeys(LOG_CALLS, "(self, message, /, *args, **fields)"),
}


def public_callables() -> Iterator[tuple[str, Any]]:
    """Every callable a user can reach by public names: the classes, and what each defines itself."""
    for name in logly.__all__:
        value = getattr(logly, name)
        if isinstance(value, type):
            yield name, value
            for base in value.__mro__:
                if base.__module__.partition(".")[0] == "logly":
                    yield from (
                        (f"{name}.{key}", getattr(value, key))
                        for key in vars(base)
                        if not key.startswith("_") and callable(getattr(value, key))
                    )


def plain(signature: inspect.Signature) -> str:
    parameters = [one.replace(annotation=inspect.Parameter.empty) for one in signature.parameters.values()]
    return str(inspect.Signature(parameters))


def test_all_is_true() -> None:
    for name in logly.__all__:
        assert getattr(logly, name) is not None
    assert sorted(logly.__all__) == sorted(set(logly.__all__))
    assert set(logly.__all__) <= set(dir(logly))
    scope: dict[str, Any] = {}
    exec("from logly import *", scope)
    assert set(logly.__all__) <= set(scope)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = logly.nothing


@pytest.mark.parametrize(("name", "value"), [pytest.param(*pair, id=pair[0]) for pair in public_callables()])
def test_every_public_callable_has_a_signature_and_a_docstring(name: str, value: Any) -> None:
    assert inspect.getdoc(value)
    if not (isinstance(value, type) and issubclass(value, OSError | logly.LoglyError)):  # built by logly alone
        assert inspect.signature(value) is not None


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_are_the_contracts(name: str) -> None:
    assert plain(inspect.signature(getattr(Logger, name))) == SIGNATURES[name]


@pytest.mark.parametrize("name", [*LOG_CALLS, "log", "is_enabled_for", "bind"])
def test_a_light_logger_has_the_loggers_log_calls(name: str) -> None:
    assert plain(inspect.signature(getattr(logly.LightLogger, name))) == SIGNATURES[name]


def test_the_compiled_calls_signature_is_kept_by_a_bound_method() -> None:
    assert plain(inspect.signature(logly.logger.info)) == "(message, /, *args, **fields)"


def test_catch_and_the_constructor() -> None:
    catch = inspect.signature(Logger.catch).parameters
    defaults = {name: one.default for name, one in catch.items() if name not in ("self", "message")}
    assert defaults == {
        "exception": Exception, "level": "ERROR", "reraise": False, "default": None, "exclude": None, "onerror": None
    }  # fmt: skip
    assert plain(inspect.signature(Logger)) == "(config=None, *, name='root', **settings)"


@pytest.mark.parametrize(
    ("kind", "contract", "beyond"),
    [
        (LoggerConfig, LOGGER_DEFAULTS, {"stall_timeout"}),
        (SinkConfig, SINK_DEFAULTS, {"newlines", "tls", "app_name", "sd_id", "bom"}),
    ],
)
def test_configuration_has_the_contracts_fields_and_defaults(
    kind: Any, contract: dict[str, Any], beyond: set[str]
) -> None:
    made = kind()
    assert {name: getattr(made, name) for name in contract} == contract
    assert {one.name for one in dataclasses.fields(kind)} - set(contract) == beyond


@pytest.mark.parametrize(("kind", "by_place"), [(LoggerConfig, []), (SinkConfig, ["path"])])
def test_configuration_is_a_mutable_dataclass_of_named_fields(kind: Any, by_place: list[str]) -> None:
    assert dataclasses.is_dataclass(kind)
    parameters = inspect.signature(kind).parameters.values()
    assert [one.name for one in parameters if one.kind is not inspect.Parameter.KEYWORD_ONLY] == by_place
    assert set(inspect.signature(kind).parameters) == {one.name for one in dataclasses.fields(kind)}
    made = kind()
    assert dataclasses.replace(made, json=True) != made
    assert dataclasses.replace(made) == made
    assert dataclasses.asdict(made).keys() == {one.name for one in dataclasses.fields(kind)}
    assert f"{kind.__name__}(" in repr(made)
    with pytest.raises(AttributeError):
        made.jsno = True
    with pytest.raises(TypeError, match="jsno"):
        kind(jsno=True)
    with pytest.raises(TypeError):
        kind(*by_place, "positional")


def test_stats_has_the_contracts_fields() -> None:
    assert list(logly.Stats._fields) == STATS
    assert list(logly.Logger().stats()._asdict()) == STATS


def test_levels_are_the_standard_librarys_where_both_have_them() -> None:
    import logging

    assert [level.name for level in Level] == [
        "TRACE",
        "DEBUG",
        "INFO",
        "SUCCESS",
        "WARNING",
        "ERROR",
        "FAIL",
        "CRITICAL",
    ]
    assert list(Level) == sorted(Level)
    for name in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        assert Level[name] == getattr(logging, name)


def test_errors_are_what_they_say() -> None:
    assert issubclass(logly.ConfigError, (logly.LoglyError, ValueError))
    assert issubclass(logly.SinkError, (logly.LoglyError, OSError))
    with pytest.raises(logly.ConfigError, match="level") as caught:
        Logger(LoggerConfig(level="loud"))
    assert (caught.value.field, caught.value.value) == ("level", "loud")
    with pytest.raises(ValueError, match="rotation"):
        Logger().add_sink(SinkConfig(path="x", rotation=timedelta(0)))


def test_the_version_is_the_distributions() -> None:
    try:
        version = importlib.metadata.version("logly")
    except importlib.metadata.PackageNotFoundError:
        if not (ROOT / "logly" / "_core.pyx").exists():
            raise
        pytest.skip("logly is built in place for this Python, not installed")
    assert logly.__version__ == version


def test_types_are_shipped() -> None:
    package = resources.files("logly")
    assert package.joinpath("py.typed").is_file()
    assert package.joinpath("_core.pyi").is_file()


def test_importing_starts_nothing_and_loads_little(tmp_path: Path) -> None:
    program = (
        "import sys, threading; before = set(sys.modules); import logly;"
        "costly = {'dataclasses', 'inspect', 'typing', 'logging', 'json', 'datetime', 'traceback', 'tomllib', 're'};"
        "assert threading.active_count() == 1;"
        "print(*sorted(costly & (set(sys.modules) - before)))"
    )
    # -S: what the site's .pth files import is not ours.
    found = run_python("-S", "-c", program)
    assert found.stdout.split() == []
