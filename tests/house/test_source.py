"""What the compiler does not check: the rules that keep the data path off the GIL, and the files readable."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from logly.control.plan import Plan
from tests.support import ROOT
from tests.support.cython_structs import unread_fields

PACKAGE = ROOT / "logly"
HEADERS = sorted(PACKAGE.rglob("*.pxd"))
CORE = sorted(PACKAGE.rglob("*.px[yxdi]"))
MOST_LINES = 500
FOLDERS = [ROOT / name for name in ("logly", "tests", "bench")]
SOURCES = sorted(
    path for folder in FOLDERS for kind in ("py", "pyx", "pxd", "pxi") for path in folder.rglob(f"*.{kind}")
)

if not HEADERS:
    pytest.skip("the sources are not beside the tests: an installed wheel is tested", allow_module_level=True)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix().removeprefix("logly/")


# A function with a body: from `cdef` at the line's start to the colon that ends its signature.
FUNCTION = re.compile(r"^cdef (?!extern|struct|enum|class|union|packed)[^=\n]*?\([^:]*?\)[^:\n]*:$", re.MULTILINE)


def functions(path: Path) -> list[str]:
    return FUNCTION.findall(path.read_text())


def test_the_patterns_find_functions() -> None:
    assert sum(len(functions(path)) for path in HEADERS) > 150


@pytest.mark.parametrize("path", HEADERS, ids=name_of)
def test_header_functions_are_inline_and_never_raise(path: Path) -> None:
    # Without noexcept, Cython takes the GIL after every call to see whether something was raised.
    for signature in functions(path):
        assert signature.startswith("cdef inline "), f"not inline: {signature}"
        assert "noexcept" in signature, f"may raise: {signature}"
        assert "nogil" in signature, f"wants the GIL: {signature}"


@pytest.mark.parametrize("path", HEADERS, ids=name_of)
def test_headers_never_take_the_gil(path: Path) -> None:
    assert not re.search(r"\bwith gil\b", path.read_text())


def test_a_nogil_function_of_the_core_is_noexcept() -> None:
    for path in CORE:
        for line in functions(path):
            if re.search(r"\bnogil:$", line):
                assert "noexcept" in line, f"{name_of(path)}: {line}"


@pytest.mark.parametrize("path", [path for path in SOURCES if not path.is_relative_to(PACKAGE)], ids=name_of)
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    """Those of the package itself: test_rooms.py."""
    assert len(path.read_text().splitlines()) <= MOST_LINES


def test_the_tests_work_out_once_where_the_repository_is() -> None:
    """A wrong folder is one that does not exist, and then tests of pages and sources skip themselves."""
    found = [path for path in (ROOT / "tests").rglob("*.py") if re.search("Path[(]__file__[)]", path.read_text())]
    assert [name_of(path) for path in found] == ["tests/support/__init__.py"]


def code_of(*paths: Path) -> str:
    return "\n".join(re.sub("#.*", "", path.read_text()) for path in paths)


CIMPORT = re.compile(r"^from [\w.]+ cimport (?:\(([^)]*)\)|(.*))$", re.MULTILINE)


@pytest.mark.parametrize("path", [*HEADERS, ROOT / "logly" / "_core.pyx"], ids=name_of)
def test_what_is_cimported_is_used(path: Path) -> None:
    """No linter looks into Cython's cimports."""
    parts = [path, *sorted(PACKAGE.rglob("*.pxi")), path.with_suffix(".pxd")] if path.suffix == ".pyx" else [path]
    code = code_of(*parts)
    names = [name.split(" as ")[-1].strip() for found in CIMPORT.findall(code) for name in "".join(found).split(",")]
    rest = set(re.findall(r"\w+", CIMPORT.sub("", code)))
    assert [name for name in names if name and name not in rest] == []


def test_frames_are_not_taken_by_getframe_of_0() -> None:
    """Where C code calls, it may give the interpreter's own frame, which was never filled in: see `logly_frame_of`."""
    for path in [*CORE, *sorted(PACKAGE.rglob("*.py"))]:
        # From Python code of logly's own, one further up is a function's, and so is an `f_back`.
        found = re.findall(r"_getframe(?!\(1\))|currentframe(?!\")|GetFrame(?!\(thread\))", code_of(path))
        assert found == [], name_of(path)


def test_each_function_of_cython_is_used() -> None:
    """A compiler leaves out what nothing calls, so no measure of coverage would tell."""
    paths = [path for path in SOURCES if path.suffix in (".pyx", ".pxd", ".pxi")]
    code = CIMPORT.sub("", code_of(*paths))
    used = Counter(re.findall(r"\w+", code))
    names = re.findall(r"^ *cdef (?!extern|struct|enum|class|union|packed)[^=\n(]*?(\w+)\(", code, re.MULTILINE)
    assert len(names) > 500
    assert [name for name in names if used[name] < 2 and not name.startswith("__")] == []


#: Fields that no code reads, and what for they are there.
UNREAD_FIELDS = {
    "Engine.apart": "keeps others off a cache line",
    "Ring.apart": "keeps others off a cache line",
    "RingPositions.apart": "keeps others off a cache line",
    "LoglyEvent.sequence": "read by the C++ code",
    "PyMethodDef.ml_flags": "read by CPython",
    "PyMethodDef.ml_meth": "read by CPython",
    "RecordHeader.kind": "read as RecordPrefix.kind",
    "RecordEnd.args": "copied as a whole, read as RecordHeader.args",
    "RecordEnd.fields": "copied as a whole, read as RecordHeader.fields",
    "RecordEnd.origin": "copied as a whole, read as RecordHeader.origin",
    "RecordHeap.flags": "where RecordHeader has its own",
    "RecordHeap.level": "where RecordHeader has its own",
    "RecordPrefix.flags": "where RecordHeader has its own",
    "RecordPrefix.level": "where RecordHeader has its own",
}


def test_each_field_of_a_struct_is_read() -> None:
    assert unread_fields(CORE) == set(UNREAD_FIELDS)


def test_a_field_that_is_only_assigned_to_is_found(tmp_path: Path) -> None:
    (tmp_path / "made.pxd").write_text(
        "cdef struct A:\n    int used\n    int never   # A.never\n    int* set, got\n    char data[8]\n\n"
        "cdef struct B:\n    int never\n    A one\n\n"
        "cdef inline int f(A* a, const B* b) noexcept nogil:\n"
        "    a.set = NULL\n    a.data[0] = 1\n    return a.used + a.got[0] + b.never + b.one.used\n"
    )
    assert unread_fields([tmp_path / "made.pxd"]) == {"A.never", "A.set", "A.data"}


def test_a_constant_has_one_definition() -> None:
    """What Python needs of the core's constants it imports from `logly._core`."""
    in_python: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        in_python |= set(re.findall(r"(?m)^([A-Z][A-Z0-9_]+)(?::[^=\n]*)? = ", path.read_text()))
    in_cython = set(re.findall(r"(?m)^ {4,}([A-Z][A-Z0-9_]+)(?: = .*)?$", code_of(*CORE)))
    assert len(in_python) > 30
    assert len(in_cython) > 100
    assert in_python & in_cython == set()


# ---- what Cython 3.3.1's own code does wrong without memory


def tree_of(path: Path) -> Any:
    """A file of the core, parsed by Cython."""
    fragment = pytest.importorskip("Cython.Compiler.TreeFragment")
    return fragment.parse_from_strings(path.stem, re.sub("(?m)^include .*$", "", path.read_text()))


def nodes_of(tree: Any, inside: tuple[str, ...] = ()) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Every node of a tree, each with the names of the classes of what it is in."""
    yield tree, inside
    for name in tree.child_attrs or ():
        child = getattr(tree, name)
        for one in child if isinstance(child, list) else [child]:
            if one is not None:
                yield from nodes_of(one, (*inside, type(tree).__name__))


LOOPS = ("ForInStatNode", "ForFromStatNode", "WhileStatNode", "_ForInStatNode")
LEAVES = {"ReturnStatNode": "return", "BreakStatNode": "break", "ContinueStatNode": "continue"}


def unsafe_without_memory(tree: Any) -> list[tuple[int, str]]:
    """(line, construct) where an allocation that fails corrupts memory, or keeps a lock, in Cython's code.

    - To leave an `except` early decrements the traceback, which is NULL when there was no memory for one.
    - A list comprehension that fails to append drops the item twice.
    - A `with` that is left by an exception makes a tuple of it, with that NULL; without memory for the tuple it does
      not call `__exit__`: the lock is kept.
    """
    found = []
    for node, inside in nodes_of(tree):
        kind = type(node).__name__
        if kind in LEAVES and "ExceptClauseNode" in inside:
            after = inside[len(inside) - inside[::-1].index("ExceptClauseNode") :]
            if kind == "ReturnStatNode" or not set(after) & set(LOOPS):
                found.append((node.pos[1], f"{LEAVES[kind]} in except"))
        elif kind == "WithStatNode":
            found.append((node.pos[1], "with"))
        elif kind == "GeneratorExpressionNode" or (kind == "ComprehensionNode" and node.type.name == "list"):
            found.append((node.pos[1], "list comprehension or generator expression"))
    return found


def test_what_is_unsafe_without_memory_is_found(tmp_path: Path) -> None:
    source = """
cdef int f(lock, items) except -1:
    for item in items:
        try:
            g(item)
        except ValueError:
            return 1
        except KeyError:
            for one in items:
                break
            continue
        except Exception:
            break
    with lock:
        pass
    with nogil:
        pass
    h([g(item) for item in items], {item: 1 for item in items})
    h(tuple(item for item in items))
    try:
        return 2
    except OSError:
        raise
"""
    (tmp_path / "made.pyx").write_text(source)
    assert [line for line, _ in sorted(unsafe_without_memory(tree_of(tmp_path / "made.pyx")))] == [
        7,
        11,
        13,
        14,
        18,
        19,
    ]


@pytest.mark.parametrize("path", CORE, ids=name_of)
def test_the_core_has_nothing_that_is_unsafe_without_memory(path: Path) -> None:
    assert unsafe_without_memory(tree_of(path)) == []


# ---- a RecursionError goes up

#: Where a RecursionError stays: (file, function), and why.
KEEPS_RECURSION_ERRORS = {
    ("bridge/rendered.pxi", "report_route_trouble"): "the report of logly's own trouble; the call goes on as logging's",
    ("bridge/site/sitecustomize.py", "install"): "a program's start: it starts without logly",
    ("caller/frame_values.py", "_lines_of"): "no code of the program runs, so there is no deeper level",
    ("caller/frame_values.py", "_line_of"): "the same",
    ("caller/frame_values.py", "__call__"): "the same",
    ("caller/hidden_values.py", "keep"): "the same",
    ("caller/value_texts.py", "_text"): "the same",
    ("commands/routes.py", "_set_up"): "a command, which shows its traceback",
    ("control/commit.pxi", "commit"): "raised when the change is whole",
    ("control/capture_sink.py", "end"): "raised when all sinks are taken away",
    ("control/flusher_thread.pxi", "__del__"): "nothing is raised out of a __del__",
    ("config/taken.py", "__del__"): "nothing is raised out of a __del__",
    ("control/work.pxi", "try_work"): "sinks' work by the caller: the record is in the ring, and the error is told",
    ("control/flusher_thread.pxi", "flush_on_thread"): "the flusher's thread must go on",
    ("control/flusher_thread.pxi", "flush_until_stopped"): "the flusher's thread must go on",
    ("control/python_records.pxi", "parsed_object"): "a sink's thread; no code of somebody's runs",
    ("control/controller.py", "do_work"): "sinks' work: the sink's trouble",
    ("control/reports.py", "report_now"): "sinks' work: on_error's own trouble",
    ("caller/guards.py", "stepped_generator"): "handed on to the generator",
    ("caller/guards.py", "async_generator"): "handed on to the generator",
    ("files/housekeeper.py", "_run"): "a thread of its own",
    ("control/process.py", "_finish_all"): "raised when all loggers are finished",
    ("control/process.py", "_after_fork_in_child"): "every engine must be made anew",
    ("control/stream_sink.py", "write_stream"): "sinks' work: the stream's trouble",
    ("control/stream_sink.py", "_flush_stream"): "sinks' work: the stream's trouble",
    ("control/sinks.py", "handle_records"): "sinks' work: the function's trouble",
    ("bridge/handler_sink.py", "_open_again"): "sinks' work: the handler's trouble",
    ("bridge/handler_sink.py", "_roll_over"): "sinks' work: the handler's trouble",
    ("bridge/handler_sink.py", "_tell"): "sinks' work: given to the handler's `handleError`",
    ("outlets/outlet.py", "_send"): "a thread of its own: the batch is sent again",
    ("outlets/outlet.py", "_run"): "a thread of its own: another one goes on",
    ("control/later.py", "_try"): "a thread of its own: the next try",
    ("control/recovery.py", "send_dead"): "a thread of its own: the next try",
    ("http.py", "_send_halves"): "a thread of its own: the half is sent again",
}
HANDLER = re.compile(r"( *)except\b([^:]*):")
BROAD = re.compile(r"\b(Exception|BaseException|RuntimeError|RecursionError)\b")


def last_of_block(lines: list[str], indent: int) -> str:
    return list(takewhile(lambda line: len(line) - len(line.lstrip()) > indent, lines))[-1].strip()


def keepers_of(path: Path) -> Iterator[str]:
    """Names of the functions with an `except` that keeps a RecursionError."""
    function = "?"
    goes_up: dict[int, bool] = {}  # by indentation: whether an `except` of that try lets it go up
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if name := re.match(r" *(?:async def|def|cdef|cpdef)\b.*?(\w+)\(", line):
            function = name[1]
        if line.strip().startswith("try:"):
            goes_up[indent] = False
        if not (handler := HANDLER.match(line)):
            continue
        raises = last_of_block(lines[number + 1 :], indent).startswith("raise")
        is_broad = not handler[2].strip() or bool(BROAD.search(handler[2]))
        if is_broad and not raises and not goes_up[indent]:
            yield function
        if "RecursionError" in handler[2] and raises:
            goes_up[indent] = True


def test_a_recursion_error_goes_up() -> None:
    """Or an object that logs itself while it is shown takes time exponential in the recursion limit."""
    paths = [path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".pxi", ".pyx")]
    found = {(name_of(path), function) for path in paths for function in keepers_of(path)}
    assert found == set(KEEPS_RECURSION_ERRORS)


# ---- what may be patched

# What gevent, eventlet or a frozen clock replaces. `system/unpatched.py` has what logly uses instead.
MAY_BE_PATCHED = {
    "concurrent", "contextvars", "multiprocessing", "queue", "select", "selectors", "signal", "socket", "ssl",
    "subprocess", "threading", "_thread",
}  # fmt: skip
# Of a module whose rest may be used: these only.
USED_OF = {"time": {"gmtime", "localtime", "strftime", "struct_time"}}
NOT_OF_OS = {"fdopen", "fork", "forkpty", "open", "popen", "read", "wait", "waitpid", "write"}
# `threading` is asked for names only: of threads that it knows, which one is the main one, and its hook for exceptions.
CORE_FILES = [*sorted(PACKAGE.rglob("*.pxi")), PACKAGE / "_core.pyx"]
ASKS_THREADING = {
    "bridge/resolve.py",
    "caller/exception_hooks.py",
    "caller/origin.pxi",
    "control/flusher_thread.py",
    "system/unpatched.py",
}
# TLS over buffers in memory, which waits for nothing: `wrap_bio` of a patched SSLContext is the original.
ENCRYPTS_IN_MEMORY = {"control/socket_sink.py", "outlets/streams.py"}
WRAPS_SIGNAL = {"bridge/install.py"}  # whoever replaces `raise_signal` there or before is called
NOT_CHECKED = {
    "__main__.py",
    "commands/demo.py",
    "commands/run.py",
    "system/unpatched.py",
}  # all but the last: programs
PYTHON_FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if name_of(path) not in NOT_CHECKED]


def patchable_names(tree: ast.AST, name: str) -> list[str]:
    found = []
    for node in ast.walk(tree):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
        found += [module for module in modules if module.partition(".")[0] in MAY_BE_PATCHED]
        if isinstance(node, ast.ImportFrom) and node.module in ("os", "time", "io"):
            found += [f"from {node.module} import {alias.name}" for alias in node.names if alias.name != "PathLike"]
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner, attribute = node.value.id, node.attr
            if (owner in USED_OF and attribute not in USED_OF[owner]) or (owner == "os" and attribute in NOT_OF_OS):
                found.append(f"{owner}.{attribute}")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open":
            found.append("open()")
    allowed = {"threading": ASKS_THREADING, "signal": WRAPS_SIGNAL, "ssl": ENCRYPTS_IN_MEMORY}
    return [what for what in found if name not in allowed.get(what, ())]


@pytest.mark.parametrize("path", PYTHON_FILES, ids=name_of)
def test_threads_locks_clock_and_file_calls_are_the_systems(path: Path) -> None:
    """Else a program of gevent's makes the flusher a greenlet, which never runs while the program computes."""
    assert patchable_names(without_type_checking(ast.parse(path.read_text())), name_of(path)) == []


def without_type_checking(tree: ast.Module) -> ast.Module:
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING")
    ]
    return tree


def test_the_check_of_patchable_names_finds_them() -> None:
    text = "import threading, time\nfrom _thread import RLock\ntime.sleep(1)\nos.write(1, b'')\nwith open('x'): pass"
    assert sorted(patchable_names(ast.parse(text), "x.py")) == [
        "_thread",
        "open()",
        "os.write",
        "threading",
        "time.sleep",
    ]


def test_the_core_imports_nothing_that_may_be_patched() -> None:
    for path in CORE_FILES:
        imported = set(re.findall(r"^\s*(?:import|from) (\w+)", code_of(path), re.MULTILINE))
        allowed = {"threading"} if name_of(path) in ASKS_THREADING else set()
        assert imported & {*MAY_BE_PATCHED, "time"} <= allowed, name_of(path)


def test_a_context_of_the_core_needs_no_memory_to_be_left() -> None:
    """``__exit__(self, *_)``, and Cython's ``with`` on the way out of an exception, make a tuple.

    Where there is no memory for it, a lock stays taken for ever.
    """
    for path in CORE_FILES:
        text = path.read_text()
        assert not re.search(r"def __exit__\(self, \*", text), name_of(path)
        assert set(re.findall(r"^ *with (.*?):", text, re.MULTILINE)) <= {"nogil"}, name_of(path)


def test_an_assertion_is_nothing_where_it_is_off() -> None:
    """Cython works out `and` and its like before the macro is called, so that stays in every build."""
    statements = [
        line for path in SOURCES for line in re.findall(r"^ *assert_that\(.*", path.read_text(), re.MULTILINE)
    ]
    assert len(statements) > 5
    assert [line for line in statements if re.search(r"\b(and|or|if|in)\b", line)] == []


def test_a_descriptor_belongs_to_an_object() -> None:
    """What `os.open` returns is lost when a signal handler raises before it is assigned: see `files/descriptor.pxi`."""
    opens = re.compile(r"\b(?:os|system_calls)\.(?:open|dup|pipe2?|memfd_create|openpty)\(")
    found = [name_of(path) for path in [*CORE, *PACKAGE.rglob("*.py")] if opens.search(code_of(path))]
    assert found == ["files/descriptor.pxi"]


def test_contexts_that_change_something_are_compiled() -> None:
    """A signal handler may raise at the end of an `__enter__` in Python: then `__exit__` is not called."""
    made_here = [
        found[1]
        for path in sorted(PACKAGE.rglob("*.py"))
        for found in re.finditer(
            r"^class (\w+)(?:(?!^class ).)*?^    (?:async )?def __a?enter__", code_of(path), re.MULTILINE | re.DOTALL
        )
    ]
    assert made_here == ["Controls", "ExceptionHooks", "Catcher", "_NoLock"], (
        "these change nothing when they are entered"
    )


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=name_of)
def test_nothing_iterates_over_the_items_of_a_dict(path: Path) -> None:
    """CPython 3.11 crashes where there is no memory for the iterator's tuple. While a module is imported it may."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    calls = [node for function in functions for node in ast.walk(function) if isinstance(node, ast.Call)]
    lines = {call.lineno for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "items"}
    assert not lines or path.name in ("lazy_dataclass.py", "demo.py"), lines


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=name_of)
def test_no_container_of_weak_references_loses_a_ctrl_c(path: Path) -> None:
    """What takes an ended object out of them is Python code. A KeyboardInterrupt in there is reported and forgotten."""
    names = [node.attr for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Attribute)]
    assert not {"WeakValueDictionary", "WeakKeyDictionary", "WeakSet", "finalize"} & set(names)


def test_a_plan_is_not_lost_without_memory_for_a_cell() -> None:
    """CPython 3.11 and 3.12 keep the arguments of a function for ever where its first step, making a cell, fails."""
    methods = [getattr(value, "fget", value) for value in vars(Plan).values()]
    codes = {method.__qualname__: method.__code__ for method in methods if hasattr(method, "__code__")}
    assert len(codes) > 8
    assert [name for name, code in codes.items() if code.co_cellvars] == []
