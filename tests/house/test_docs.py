"""README and docs say what is so: every Python block runs, every link leads somewhere, README names every page.

The blocks of a page are one program, run in order in an empty folder. Those that begin with one of these comments are
not part of it: `# not run: REASON`; `# file: NAME`, a file of a recipe that test_frameworks.py runs;
`# before: PACKAGE` and `# after: PACKAGE`, which test_migrating.py compares. Shell commands are in blocks of other
languages.
"""

import ast
import re
from pathlib import Path

import pytest

import logly
from tests.support import ROOT
from tests.support.pages import FENCE, PAGES, blocks
from tests.support.programs import run_python

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PATIENCE_S = 100

pytestmark = pytest.mark.skipif(not PAGES[0].exists() or len(PAGES) < 2, reason="the pages are not here")


def program_of(page: Path) -> str:
    """The page's Python blocks at their own line numbers, so that a traceback names the page's line."""
    lines = [""] * (page.read_text(encoding="utf-8").count("\n") + 1)
    for block in blocks(page):
        if block.language == "python" and not block.mark:
            text = block.text.splitlines()
            lines[block.line : block.line + len(text)] = text
    return "\n".join(lines)


def slug(heading: str) -> str:
    """GitHub's anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", re.sub(r"`", "", heading).strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)}


def run_page(page: Path, folder: Path, start: str) -> None:
    """As `python example.py` would run, or pytest, but with the package that is tested."""
    program = program_of(page)
    ast.parse(program, str(page))
    (folder / "example.py").write_text(program, encoding="utf-8")
    words = ("-W", "error", "-c", f"import sys; {start}")
    run_python(*words, cwd=folder, encoding="utf-8", timeout=PATIENCE_S, may_complain=True)


@pytest.mark.parametrize("page", [page for page in PAGES if program_of(page).strip()], ids=lambda page: page.stem)
def test_the_examples_of_a_page_run(page: Path, tmp_path: Path) -> None:
    run_page(page, tmp_path, "import runpy; runpy.run_path('example.py', run_name='__main__')")


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "\ndef test_" in program_of(page)], ids=lambda page: page.stem
)
def test_the_tests_of_a_page_pass(page: Path, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    run_page(
        page,
        tmp_path,
        "import pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '-p', 'logly_pytest', 'example.py']))",
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        assert found.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(found), f"{page.name} links to {target}, and there is no such heading"


def test_readme_names_every_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in PAGES[1:]:
        if page.parent.name == "docs":
            assert f"(docs/{page.name})" in text, page.name


def test_the_api_page_has_every_public_name() -> None:
    named = set(
        re.findall(r"^::: (?:\w+\.)+(\w+)$", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    # The two that are no class and no function: the page says in words what `logger` is.
    assert set(logly.__all__) - named == {"logger", "__version__"}


def test_every_page_says_first_what_it_is_for() -> None:
    for page in PAGES[1:]:
        text = re.sub(r"\A---\n.*?\n---\n", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        title, blank, first = text.lstrip().splitlines()[:3]
        assert title.startswith("# "), page.name
        assert not blank, page.name
        assert first[0].isalpha() or first[0] == "`", f"{page.name} begins with {first!r}"


def test_readme_is_read_in_a_minute() -> None:
    assert len(PAGES[0].read_text(encoding="utf-8").splitlines()) <= 150


def test_every_promise_names_a_test_that_exists() -> None:
    named = re.findall(r"`(\w+)::(test_\w+)`", (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8"))
    assert len(named) > 50
    for file, test in named:
        [path] = ROOT.glob(f"tests/*/test_{file}.py")
        assert f"def {test}(" in path.read_text(encoding="utf-8"), f"{file}::{test}"


def test_nobody_is_sent_to_the_other_package() -> None:
    for page in PAGES:
        for line in re.findall(r"^.*pip install[ \n]logly\b.*$", page.read_text(encoding="utf-8"), flags=re.MULTILINE):
            assert re.search(r"not|never", line, re.IGNORECASE), f"{page.name}: {line}"
