"""What the compiler does not check: the rules that keep the data path off the GIL, and the files readable."""

import re
from collections import Counter
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


def test_each_function_of_cython_is_used() -> None:
    """A compiler leaves out what nothing calls, so no measure of coverage would tell."""
    paths = [path for path in SOURCES if path.suffix in (".pyx", ".pxd", ".pxi")]
    code = CIMPORT.sub("", code_of(*paths))
    used = Counter(re.findall(r"\w+", code))
    names = re.findall(r"^ *cdef (?!extern|struct|enum|class|union|packed)[^=\n(]*?(\w+)\(", code, re.MULTILINE)
    assert len(names) > 500
    assert [name for name in names if used[name] < 2 and not name.startswith("__")] == []
