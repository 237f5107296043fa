"""What the compiler does not check: the rules that keep the data path off the GIL, and the files readable."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEADERS = sorted((ROOT / "logly").glob("*.pxd"))
FOLDERS = [ROOT / name for name in ("logly", "tests", "bench")]
SOURCES = sorted(
    path for folder in FOLDERS for kind in ("py", "pyx", "pxd", "pxi") for path in folder.rglob(f"*.{kind}")
)

if not HEADERS:
    pytest.skip("the sources are not beside the tests: an installed wheel is tested", allow_module_level=True)

# A function with a body: from `cdef` at the line's start to the colon that ends its signature.
FUNCTION = re.compile(r"^cdef (?!extern|struct|enum|class|union|packed)[^=\n]*?\([^:]*?\)[^:\n]*:$", re.MULTILINE)


def functions(path: Path) -> list[str]:
    return FUNCTION.findall(path.read_text())


def test_the_patterns_find_functions() -> None:
    assert sum(len(functions(path)) for path in HEADERS) > 150


@pytest.mark.parametrize("path", HEADERS, ids=lambda path: path.name)
def test_header_functions_are_inline_and_never_raise(path: Path) -> None:
    # Without noexcept, Cython takes the GIL after every call to see whether something was raised.
    for signature in functions(path):
        assert signature.startswith("cdef inline "), f"not inline: {signature}"
        assert "noexcept" in signature, f"may raise: {signature}"
        assert "nogil" in signature, f"wants the GIL: {signature}"


@pytest.mark.parametrize("path", HEADERS, ids=lambda path: path.name)
def test_headers_never_take_the_gil(path: Path) -> None:
    assert not re.search(r"\bwith gil\b", path.read_text())


def test_a_nogil_function_of_the_core_is_noexcept() -> None:
    for path in sorted((ROOT / "logly").glob("*.px[ixd]")):
        for line in functions(path):
            if re.search(r"\bnogil:$", line):
                assert "noexcept" in line, f"{path.name}: {line}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 700


def code_of(*paths: Path) -> str:
    return "\n".join(re.sub("#.*", "", path.read_text()) for path in paths)


CIMPORT = re.compile(r"^from [\w.]+ cimport (?:\(([^)]*)\)|(.*))$", re.MULTILINE)


@pytest.mark.parametrize("path", [*HEADERS, ROOT / "logly" / "_core.pyx"], ids=lambda path: path.name)
def test_what_is_cimported_is_used(path: Path) -> None:
    """No linter looks into Cython's cimports."""
    parts = [path, *sorted(path.parent.glob("*.pxi")), path.with_suffix(".pxd")] if path.suffix == ".pyx" else [path]
    code = code_of(*parts)
    names = [name.split(" as ")[-1].strip() for found in CIMPORT.findall(code) for name in "".join(found).split(",")]
    rest = set(re.findall(r"\w+", CIMPORT.sub("", code)))
    assert [name for name in names if name and name not in rest] == []


def test_frames_are_not_taken_by_getframe_of_0() -> None:
    """Where C code calls, it may give the interpreter's own frame, which was never filled in: see `logly_frame_of`."""
    for path in sorted((ROOT / "logly").glob("*.p*")):
        # From Python code of logly's own, one further up is a function's, and so is an `f_back`.
        assert re.findall(r"_getframe(?!\(1\))|currentframe|GetFrame(?!\(thread\))", code_of(path)) == [], path.name


# What gevent, eventlet or a frozen clock replaces. `system.py` has what logly uses instead; `demo.py` is a program.
MAY_BE_PATCHED = {
    "concurrent", "contextvars", "multiprocessing", "queue", "select", "selectors", "signal", "socket", "ssl",
    "subprocess", "threading", "_thread",
}  # fmt: skip
# Of a module whose rest may be used: these only.
USED_OF = {"time": {"gmtime", "localtime", "struct_time"}}
NOT_OF_OS = {"fdopen", "fork", "forkpty", "open", "popen", "read", "wait", "waitpid", "write"}
# `threading` is asked for names only: of threads that it knows, and which one is the main one.
CORE_FILES = [*sorted((ROOT / "logly").glob("*.pxi")), ROOT / "logly" / "_core.pyx"]
ASKS_THREADING = {"flusher.py", "system.py", "_core.pyx"}
PYTHON_FILES = [path for path in sorted((ROOT / "logly").glob("*.py")) if path.name not in ("demo.py", "system.py")]


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
    return [what for what in found if not (what == "threading" and name in ASKS_THREADING)]


@pytest.mark.parametrize("path", PYTHON_FILES, ids=lambda path: path.name)
def test_threads_locks_clock_and_file_calls_are_the_systems(path: Path) -> None:
    """Else a program of gevent's makes the flusher a greenlet, which never runs while the program computes."""
    assert patchable_names(without_type_checking(ast.parse(path.read_text())), path.name) == []


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
        allowed = {"threading"} if path.name in ASKS_THREADING else set()
        assert imported & {*MAY_BE_PATCHED, "time"} <= allowed, path.name


def test_a_context_of_the_core_needs_no_memory_to_be_left() -> None:
    """``__exit__(self, *_)``, and Cython's ``with`` on the way out of an exception, make a tuple.

    Where there is no memory for it, a lock stays taken for ever.
    """
    for path in CORE_FILES:
        text = path.read_text()
        assert not re.search(r"def __exit__\(self, \*", text), path.name
        assert set(re.findall(r"^ *with (.*?):", text, re.MULTILINE)) <= {"nogil"}, path.name
