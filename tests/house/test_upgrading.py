"""What 0.1.0 had: programs that were written for it find each name and each parameter."""

import inspect

import pytest

import logly

pytestmark = pytest.mark.smoke

LOG = "message *args **fields"
FUNCTIONS = {
    "Logger": "config name",
    "Logger.add_level": "name number color",
    "Logger.add_sink": "config",
    "Logger.bind": "**fields",
    "Logger.catch": "exception level reraise message default",
    "Logger.close": "timeout",
    "Logger.configure": "config",
    "Logger.contextualize": "**fields",
    "Logger.disable": "",
    "Logger.disable_sink": "sink_id",
    "Logger.enable": "",
    "Logger.enable_sink": "sink_id",
    "Logger.flush": "timeout",
    "Logger.from_dict": "settings name",
    "Logger.from_file": "path name",
    "Logger.is_enabled_for": "level",
    "Logger.list_sinks": "",
    "Logger.log": f"level {LOG}",
    **{
        f"Logger.{level}": LOG
        for level in ("trace", "debug", "info", "success", "warning", "error", "fail", "critical", "exception")
    },
    "Logger.remove_all_sinks": "",
    "Logger.remove_sink": "sink_id",
    "Logger.reopen": "",
    "Logger.sink_stats": "sink_id",
    "Logger.stats": "",
    "Logger.unbind": "*names",
    "LoggerConfig": "level async_buffer_size async_flush_interval flush_level overflow stall_timeout max_message_bytes "
    "auto_sink global_console_display global_file_storage global_color_display json pretty_json log_compact show_time "
    "show_module show_function show_lineno show_filename level_colors custom_levels timezone on_error spool "
    "spool_fsync",
    "LoggerConfig.copy": "",
    "LoggerConfig.validate": "",
    "SinkConfig": "path stream fd function async_write buffer_size flush_interval filter_min_level filter_max_level "
    "filter_module filter_function filter format json color date_enabled date_style newlines rotation size_limit "
    "retention compression watch mode",
    "SinkConfig.copy": "",
    "SinkConfig.validate": "custom_levels",
    "StdlibHandler": "logger level",
    "StdlibSink": "target",
}
ATTRIBUTES = {
    "Level": "CRITICAL DEBUG ERROR FAIL INFO SUCCESS TRACE WARNING",
    "Logger": "config name",
    "Record": "exception fields filename function level level_number lineno message module name path process thread "
    "thread_name time time_ns",
    "": "ConfigError LoglyError SinkError SpoolError __version__ logger",
}
# They are tuples, which may be taken apart, or are made by position: what comes new comes last.
TUPLES = {
    "RecordException": "type message stack",
    "SinkStats": "written failed pending bytes_written writes rotations write_errors",
    "Stats": "emitted written dropped failed pending failed_formats bytes_written writes rotations write_errors "
    "blocked_ns ring_high_water ring_size",
    "Record": "time_ns level level_number message name site thread thread_name process fields exception",
}


def found(path: str) -> object:
    thing: object = logly
    for name in filter(None, path.split(".")):
        thing = getattr(thing, name)
    return thing


def parameters(path: str) -> list[str]:
    """Names, with their stars; without `self`, which the compiled methods show, too."""
    signature = inspect.signature(found(path))  # type: ignore[arg-type]
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return [f"{stars.get(one.kind, '')}{one.name}" for one in signature.parameters.values() if one.name != "self"]


@pytest.mark.parametrize("path", FUNCTIONS)
def test_a_function_of_the_first_release_has_its_parameters(path: str) -> None:
    names = FUNCTIONS[path].split()
    assert [name for name in parameters(path) if name in names] == names


@pytest.mark.parametrize("path", ATTRIBUTES)
def test_the_names_of_the_first_release_are_there(path: str) -> None:
    missing = [name for name in ATTRIBUTES[path].split() if not hasattr(found(path), name)]
    assert missing == []


@pytest.mark.parametrize("path", TUPLES)
def test_what_comes_new_in_a_tuple_comes_last(path: str) -> None:
    names = TUPLES[path].split()
    assert parameters(path)[: len(names)] == names
