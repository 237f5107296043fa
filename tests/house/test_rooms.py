"""The rooms of the package: a folder imports only from folders above it in the list of docs/architecture.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.cython_source import CythonFile

PACKAGE = ROOT / "logly"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
MOST_LINES = 500

if not (PACKAGE / "_core.pyx").exists():
    pytest.skip("the sources are not beside the tests: an installed wheel is tested", allow_module_level=True)


def order_of_rooms() -> list[str]:
    """The folders as the page's table lists them, lowest first."""
    section = ARCHITECTURE.read_text().split("## The rooms", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `(\w+)/` \|", section, re.MULTILINE)


ROOMS = order_of_rooms()
LEAVES = {"errors", "levels", "units", "record", "stats"}
"""Modules beside the folders that every folder may import: they import nothing but each other."""

CYTHON = [CythonFile(path) for kind in ("pxd", "pxi") for path in sorted(PACKAGE.glob(f"*/*.{kind}"))]
INCLUDED = [file for file in CYTHON if file.path.suffix == ".pxi"]
# Beside a `.pxi` file, a `.pxd` of the same name declares its class, and _core.pxd includes it. The others are headers.
CLASSES = [file for file in CYTHON if file.path.suffix == ".pxd" and file.path.with_suffix(".pxi").exists()]
PYTHON = sorted(PACKAGE.glob("*/*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def rank(folder: str) -> int:
    return ROOMS.index(folder if folder in ROOMS else "logly")


def folder_of_module(module: str) -> str | None:
    """The folder that a dotted name below `logly` belongs to; None: one of the leaves."""
    first = module.removeprefix("logly").lstrip(".").split(".")[0]
    return None if first in LEAVES else first


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Every statement that runs, those inside functions included."""
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child):
            continue
        if isinstance(child, ast.stmt):
            yield child
        yield from statements(child)


def modules_imported(path: Path) -> Iterator[str]:
    """Dotted names below `logly` that a Python file imports when it runs."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    for statement in statements(ast.parse(path.read_text())):
        if isinstance(statement, ast.ImportFrom) and statement.level:
            base = ".".join((*parts[: len(parts) - statement.level], *filter(None, [statement.module])))
            # `from ..files import compression`: a module of the folder, or a name of the folder's own.
            yield from (f"{base}.{alias.name}" for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith("logly"):
            yield statement.module or ""


def test_the_page_lists_the_folders_that_there_are() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(ROOMS) - {"logly"} == folders
    assert len(ROOMS) == len(set(ROOMS))


@pytest.mark.parametrize("folder", ROOMS)
def test_a_folder_says_what_it_is_for(folder: str) -> None:
    if folder != "logly":
        assert (PACKAGE / folder / "__init__.py").read_text().startswith('"""')


@pytest.mark.parametrize("file", CYTHON, ids=lambda file: name_of(file.path))
def test_cython_imports_only_from_folders_above(file: CythonFile) -> None:
    folder = file.path.parent.name
    arrows = {
        name: folder_of_module(module) for name, module in file.cimported.items() if module.startswith(("logly", "."))
    }
    arrows |= {name: source.split("/")[0] for name, source in file.of_included.items()}
    upwards = {name: other for name, other in arrows.items() if other is not None and rank(other) > rank(folder)}
    assert upwards == {}


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_python_imports_only_from_folders_above(path: Path) -> None:
    folder = path.parent.name
    arrows = {module: folder_of_module(module) for module in modules_imported(path)}
    # The compiled core is one module, whose parts stand in the folders: what it holds is judged there.
    upwards = {
        module: other
        for module, other in arrows.items()
        if other not in (None, "_core", "__version__") and rank(str(other)) > rank(folder)
    }
    assert upwards == {}


@pytest.mark.parametrize("file", INCLUDED, ids=lambda file: name_of(file.path))
def test_an_included_file_names_what_it_uses(file: CythonFile) -> None:
    """An included file has no namespace of its own: its head says what it takes from the others."""
    homes: dict[str, set[str]] = {}
    for other in INCLUDED:
        for name in other.defined:
            homes.setdefault(name, set()).add(name_of(other.path))
    foreign = file.used - file.defined - set(file.cimported)
    assert {name for name in foreign if name in homes and name not in file.of_included} == set(), "not named"
    assert {name for name in file.of_included if name not in file.used} == set(), "named, and not used"
    assert {name for name, source in file.of_included.items() if source not in homes.get(name, set())} == set(), (
        "not there"
    )


def test_an_included_file_cimports_what_it_uses_of_the_headers() -> None:
    """Each would compile without: its neighbours' cimports are in the same namespace."""
    in_headers = {
        name for file in CYTHON if file.path.suffix == ".pxd" and file not in CLASSES for name in file.defined
    }
    for file in INCLUDED:
        missing = (file.used & in_headers) - file.defined - set(file.cimported) - set(file.of_included)
        local = {
            name for name in missing if re.search(rf"\b(?:cdef|for|self|def)\b[^\n]*\b{name}\b", file.path.read_text())
        }
        assert missing - local == set(), name_of(file.path)


@pytest.mark.parametrize(
    "path", [path for kind in ("py", "pyx", "pxd", "pxi") for path in sorted(PACKAGE.rglob(f"*.{kind}"))], ids=name_of
)
def test_a_file_reads_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES


def test_the_reader_of_cython_finds_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "example.pxi"
    path.write_text(
        "# Head.\n\nfrom libc.stdlib cimport free\nfrom logly.ring.ring cimport (\n    Ring, ring_new,\n)\n\n"
        "# Of other included files:\n#   control/core.pxi: Core, living_cores,\n#       lock_here\n\n"
        "cdef enum:\n    LIMIT = 3\n\ncdef list known = []\n\n\n"
        'cdef int work(Core core) except -1:\n    print(f"{living_cores()} is no name: lock_there")\n'
        "    return ring_new(LIMIT)\n"
    )
    file = CythonFile(path)
    assert file.defined == {"LIMIT", "known", "work"}
    assert file.cimported == {"free": "libc.stdlib", "Ring": "logly.ring.ring", "ring_new": "logly.ring.ring"}
    assert set(file.of_included) == {"Core", "living_cores", "lock_here"}
    assert {"Core", "living_cores", "ring_new", "LIMIT"} <= file.used
    assert "lock_there" not in file.used


def test_the_way_of_one_call_names_functions_where_they_are() -> None:
    section = ARCHITECTURE.read_text().split("## The way of one call", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| (?:&nbsp;)*(`.*?) \| (`[^|]*`) \|", section, re.MULTILINE)
    assert len(rows) > 15
    for functions, files in rows:
        code = "".join((PACKAGE / file).read_text() for file in re.findall(r"`([^`]*)`", files))
        for function in re.findall(r"`(\w+)`", functions):
            is_there = re.search(rf"^(?:cdef|    \w)[^\n=]*\b{function}\b", code, re.MULTILINE)
            assert is_there, f"{function} is not in {files}"


def test_a_class_that_files_share_is_declared_beside_them() -> None:
    included = re.findall(r'^include "(.*)"$', (PACKAGE / "_core.pxd").read_text(), re.MULTILINE)
    assert sorted(included) == sorted(name_of(file.path) for file in CLASSES)
    for file in CLASSES:
        assert file.path.read_text().count("cdef class ") >= 1
