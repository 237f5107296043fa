"""What logly imports later than at its own import, and why that may fail: an emergency may come before it.

Out of descriptors or memory, and while the interpreter ends, nothing can be imported. So a module that a log call, the
flusher, `stats` or an exit may need is loaded before: by `logly.caller.emergency` when a logger is made, or when the
sink or the spool that needs it is opened.
"""

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.programs import run_program

PACKAGE = ROOT / "logly"
if not (PACKAGE / "_core.pyx").exists():
    pytest.skip("the sources are not beside the tests: an installed wheel is tested", allow_module_level=True)

CONFIGURING = "the program configures, and is told by an exception"
LOADED = "logly.caller.emergency has loaded it; only so can it be imported before"
OPENED = "loaded when the sink was opened"
SPOOL = "loaded when the spool was opened"
WRONG = "the program asks for what there is not, and is told by an exception"
BUILT_IN = "every Python has loaded it"

PERMITTED = {
    "__init__.py": {"._hinted": "imported with the logger", ".config.hints": WRONG, "importlib": CONFIGURING},
    "__main__.py": dict.fromkeys(
        (".commands.demo", ".commands.recover", ".commands.routes", ".commands.run"), "a command's start"
    ),
    "_controls.py": {
        ".caller.guards": LOADED,
        ".config.changes": CONFIGURING,
        ".config.hints": WRONG,
        ".control.explain": LOADED,
        ".control.recording": "the controller has loaded it",
    },
    "_logger.py": {
        ".caller": "the emergency module itself, when a logger is made",
        ".caller.exception_hooks": CONFIGURING,
        ".caller.guards": LOADED,
        ".config.changes": CONFIGURING,
        ".config.taken": "without it, the copy of the settings does not warn",
        "._pickled": "a logger is pickled; what fails is told by an exception",
        ".config.toml": CONFIGURING,
    },
    "_hinted.py": {".config.hints": WRONG},
    "bridge/resolve.py": {"logly": "a route of a process without handlers: `logly.logger` is made at its first use"},
    "bridge/at_start.py": {".install": CONFIGURING, "logly._logger": CONFIGURING},
    "bridge/site/sitecustomize.py": {
        "logly.bridge.at_start": "a program's start; where logly is missing, it starts without",
        "sitecustomize": "what it stands in for",
    },
    "caller/call_mistakes.pxi": {"json": "arguments without a placeholder, with redact_text"},
    "caller/trace_texts.pxi": {"logly.caller.tracebacks": LOADED},
    "caller/exceptions.pxi": {"logly.caller.tracebacks": LOADED},
    "caller/place_texts.pxi": dict.fromkeys(("logly.caller.frame_values", "logly.caller.tracebacks"), LOADED),
    "caller/guards.py": {"inspect": "a function is decorated, which modules do while they are imported"},
    "caller/limits.pxi": dict.fromkeys(("logly.caller.call_place", "logly.caller.limit_rules"), LOADED),
    "caller/plain_value.pxi": {"logly.caller.value_classes": LOADED},
    "caller/json_value.pxi": {"_json": LOADED, "json.encoder": LOADED},
    "commands/demo.py": {"logging": "a command"},
    "config/checks.py": dict.fromkeys(
        (
            "io",
            "logly.files.compression",
            "_contextvars",
            "importlib",
            "logly.files.paths",
            "logly.files.rotated",
            "logly.files.schedule",
            "logly.layout.colors",
            "logly.layout.layout_template",
            "logly.layout.styles",
            "logly.layout.wire",
            "os",
            ".socket_address",
            ".zones",
        ),
        CONFIGURING,
    ),
    "config/changes.py": {".hints": WRONG},
    "config/hints.py": {".schema": "the settings have been imported before"},
    "config/lazy_dataclass.py": {
        ".hints": WRONG,
        "dataclasses": "tools that inspect classes",
        "inspect": "tools that inspect classes",
    },
    "config/agreement.py": dict.fromkeys(
        (".socket_address", "logly.files.timed_paths", "logly.layout.json_layout"), CONFIGURING
    ),
    "config/schema.py": {".environment": CONFIGURING},
    "config/target_settings.py": {".socket_address": CONFIGURING},
    "config/toml.py": {"os": BUILT_IN, "tomllib": CONFIGURING},
    "control/context_sources.py": {".trace_context": CONFIGURING},
    "control/controller.py": {"_contextvars": LOADED},
    "control/python_records.pxi": {"json": OPENED},
    "control/rings.pxi": {"logly.stats": LOADED},
    "control/routing.pxi": {"logly.stats": LOADED},
    "control/socket_sink.py": {"ssl": CONFIGURING},
    "control/sink_kinds.py": dict.fromkeys(
        (".batch_sink", ".file_sink", ".function_sink", ".socket_sink"), CONFIGURING
    ),
    "control/sinks.py": {
        ".": CONFIGURING,
        ".empty_names": OPENED,
        "logly.config.zones": "the check of the setting has loaded it",
        ".sink_troubles": OPENED,
        "datetime": CONFIGURING,
        "json": CONFIGURING,
        "logly.record": CONFIGURING,
    },
    "control/sink_layout.py": dict.fromkeys(
        ("logly.layout.json_layout", "logly.layout.styles", "logly.layout.wire"), CONFIGURING
    ),
    "control/spooling.py": {
        ".": CONFIGURING,
        ".later": SPOOL,
        ".recovery": SPOOL,
        "logly.files.paths": CONFIGURING,
        "logly.spool.spools": SPOOL,
    },
    "control/stream_sink.py": {"fcntl": "a check that is left out without it"},
    "control/terminal.py": {"ctypes": "Windows, when a sink is opened", "msvcrt": "Windows, when a sink is opened"},
    "errors.py": {"difflib": "a guess that the message of an error is left without"},
    "files/compression.py": {"importlib": BUILT_IN},  # what it imports: `find_method`, when the sink is checked
    "files/descriptor.pxi": {"_winapi": "Windows has no such limit", "msvcrt": "Windows has no such limit"},
    "files/housekeeper.py": {"weakref": "logly.control.process has loaded it"},
    "files/logfile.py": dict.fromkeys(
        (".", "functools", ".housekeeper", ".rotated", ".rotation", ".schedule", ".timed_paths"), OPENED
    ),
    "files/paths.py": {"binascii": OPENED, "re": CONFIGURING},
    "layout/colors.py": {"os": BUILT_IN},
    "layout/layout_template.py": dict.fromkeys((".foreign_words", ".styles"), CONFIGURING),
    "layout/json_layout.py": {".otlp": CONFIGURING},
    "layout/wire.py": {"_socket": CONFIGURING},
    "outlets/streams.py": dict.fromkeys(("fcntl", "ssl", "termios"), "on a thread of the sink's own"),
    "layout/otlp.py": dict.fromkeys(("binascii", "json"), CONFIGURING),
    "registry/name_entries.pxi": {"binascii": SPOOL},
    "record.py": {"datetime": OPENED, "json": OPENED},
    "system/threads.pxi": {"logly.system.greenlets": "loaded with logly"},
}

NOT_WAITED_FOR = {
    **dict.fromkeys(("logly", "logly.caller", "logly.control", "logly.files"), "a package whose module is in the list"),
    **dict.fromkeys(
        ("logly.commands.demo", "logly.commands.recover", "logly.commands.routes", "logly.commands.run"),
        "a command imports it on its only thread",
    ),
    "logly.bridge.at_start": "a program's start, on its only thread",
}
"""Modules of logly's own that are imported late, and for which a fork need not wait while another thread does so."""


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def late_in_python(node: ast.AST, *, is_late: bool = False) -> Iterator[str]:
    """The modules that are imported inside functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import) and is_late:
            yield from (name.name for name in child.names)
        elif isinstance(child, ast.ImportFrom) and is_late:
            yield "." * child.level + (child.module or "")
        elif not is_for_types(child):
            yield from late_in_python(child, is_late=is_late or isinstance(child, ast.FunctionDef))


def late_in_cython(text: str) -> Iterator[str]:
    """The modules that are imported in indented lines of a function or a class."""
    is_late = False
    for line in text.splitlines():
        if line[:1] not in ("", " ", "#"):
            is_late = line.startswith(("def ", "cdef ", "cpdef ", "class "))
        found = re.match(r"\s+(?:import|from) ([\w.]+)", line)
        if found and is_late and "cimport" not in line:
            yield found[1]


def late_imports(path: Path) -> set[str]:
    text = path.read_text()
    return set(late_in_python(ast.parse(text)) if path.suffix == ".py" else late_in_cython(text))


def test_each_late_import_has_a_reason() -> None:
    found = {}
    for path in sorted(PACKAGE.rglob("*.p*")):
        if path.suffix in (".py", ".pyx", ".pxi", ".pxd") and (late := late_imports(path)):
            found[path.relative_to(PACKAGE).as_posix()] = late
    assert found == {name: set(modules) for name, modules in PERMITTED.items()}


def test_the_patterns_find_imports() -> None:
    assert list(late_in_python(ast.parse("def f():\n    if a:\n        from .b import c"))) == [".b"]
    assert list(late_in_python(ast.parse("if TYPE_CHECKING:\n    import a\nimport b"))) == []
    assert list(late_in_cython("if w:\n    import a\ncdef object f():\n    cdef int i\n\n    import b")) == ["b"]


def absolute(file: str, module: str) -> str:
    """The module's whole name, as the file in logly's folder imports it."""
    level = len(module) - len(module.lstrip("."))
    if level == 0:
        return module
    package = ["logly", *file.split("/")[:-1]]
    return ".".join([*package[: len(package) - level + 1], module.lstrip(".")]).rstrip(".")


def waited_for_by_a_fork() -> set[str]:
    """`imported_late` of control/fork.pxi."""
    text = (PACKAGE / "control/fork.pxi").read_text()
    [found] = re.findall(r"^cdef tuple imported_late = \((.*?)^\)", text, re.MULTILINE | re.DOTALL)
    return set(re.findall(r'"([\w.]+)"', found))


def test_a_fork_waits_for_each_late_import_of_logly_itself() -> None:
    """A child that is forked while another thread imports a module has half of it, and waits for its lock for ever."""
    late = {absolute(file, module) for file, modules in PERMITTED.items() for module in modules}
    own = {module for module in late if module.split(".")[0] == "logly"}
    assert own - waited_for_by_a_fork() == set(NOT_WAITED_FOR)


def test_what_a_fork_waits_for_exists() -> None:
    """A module that was renamed is waited for by nobody."""
    for module in waited_for_by_a_fork():
        if module.startswith("logly."):
            path = ROOT / module.replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__init__.py").exists(), module


# What the thread of a sink imports when it sends for the first time.
THREAD_PROGRAM = """
import json, socket, sys, threading
from logly import Logger, LoggerConfig, RetryBatch, SinkConfig

kind = sys.argv[1]
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("127.0.0.1", 0))
tries = []

def send(lines, count):
    tries.append(count)
    if len(tries) == 1:
        raise RetryBatch("a part of it", again=[0])

def serve():
    connection, _ = listener.accept()
    if kind == "http":
        connection.recv(100_000)
        connection.sendall(b"HTTP/1.1 200 fine\\r\\nContent-Length: 0\\r\\n\\r\\n")
    if kind != "tls":  # which is told by the end of the connection
        while connection.recv(100_000):
            pass
    connection.close()

if kind == "batch":
    config = SinkConfig(batch=send)
elif kind == "http":
    from logly.http import HttpSink
    config = SinkConfig(batch=HttpSink(f"http://localhost:{port}", timeout_s=60), json=True)
elif kind == "udp":
    config = SinkConfig.syslog(f"udp://127.0.0.1:{datagrams.getsockname()[1]}")
elif kind in ("tcp", "tls"):
    config = SinkConfig.syslog(f"{kind}://localhost:{port}")
else:
    config = SinkConfig.syslog("unix:/nowhere/log")
troubles = []
logger = Logger(LoggerConfig(auto_sink=False, on_error=troubles.append))
sink = logger.add_sink(config)
threading.Thread(target=serve, daemon=True).start()
before = set(sys.modules)
logger.info("text", number=1)
logger.flush(60 if kind in ("batch", "http", "udp", "tcp") else 3)
assert logger.sink_stats(sink).written or troubles, "nothing was tried"
print(json.dumps(sorted(set(sys.modules) - before)))
logger.close(1)
"""
PARTS = {"stringprep": "encodings.idna", "unicodedata": "encodings.idna"}
"""Modules that another one, which is in the list, imports."""


@pytest.mark.skipif(sys.platform != "linux", reason="what is imported differs between systems")
@pytest.mark.parametrize("kind", ["batch", "http", "udp", "tcp", "tls", "unix"])
def test_a_fork_waits_for_what_the_thread_of_a_sink_imports(kind: str) -> None:
    if kind == "http":
        pytest.importorskip("urllib3")
    imported = json.loads(run_program(THREAD_PROGRAM, kind).stdout)
    assert {PARTS.get(module, module) for module in imported} <= waited_for_by_a_fork()
    if kind not in ("http", "tls"):  # urllib3 resolves the name, and the module ssl encodes it
        assert "encodings.idna" not in imported
