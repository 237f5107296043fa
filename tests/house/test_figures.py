"""Every figure of README, docs and docstrings is one of the last full run, or its section says how it was measured.

What is a figure: a number with ns, µs (us), "lines a second" and the like, "5x" or "5 times cheaper"; and one with ms
or MiB where its sentence says "takes" or "costs"; and a number that is a cell of a table whose head has ns, µs (us), ms
or "a second". A number alone in parentheses or in backticks is a setting: "(1 s)".

A section of a page (from one heading to the next) or a docstring names how its figures were measured by a command
(`python bench/cost.py names`, `bench/latency.py`, `python -X importtime`), by words ("medians of 25 starts"), or by a
link ("[measured](secrets.md#what-it-costs)", a section of performance.md).
Where it names no command but `bench/run.py`, or the page benchmarks.md, its figures must be among those of that page.
Between `<!-- run.py: NAME -->` and `<!-- end -->` stands what the run gives: `python bench/run.py --report-only`
writes it.
"""

import ast
import importlib
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT
from tests.support.pages import FENCE, PAGES

BENCH = ROOT / "bench"
REPORT = ROOT / "docs" / "benchmarks.md"
PACKAGE = ROOT / "logly"

if not (BENCH / "run.py").exists() or not REPORT.exists():
    pytest.skip("the benchmarks are not beside the tests: an installed wheel is tested", allow_module_level=True)

NUMBER = r"(?<![\w.,/(`-])(?P<number>\d[\d,]*(?:\.\d+)?)"
OF_TIME = r"[ ]?(?P<unit>ns|nanoseconds|µs|us|microseconds)\b"
PER_SECOND = r"[ ](?P<unit>(?:million )?(?:lines|records|calls|exceptions) (?:a|per) second)"
TIMES = r"(?P<unit>x)(?![\w]|[ ]?\d)"
CHEAPER = r"[ ](?P<unit>times (?:as|cheaper|faster|slower))\b"
FIGURES = [re.compile(NUMBER + unit) for unit in (OF_TIME, PER_SECOND, TIMES, CHEAPER)]
COSTS = re.compile(NUMBER + r"[ ](?P<unit>ms|MiB)\b")
SAYS_COST = re.compile(r"\b(?:takes?|took|costs?)\b")
SENTENCE = re.compile(r"(?<=[.:;|])\s+|\n\s*\n|\n(?=[|-])")
RUN = re.compile(r"bench/run\.py|benchmarks\.md")
SOURCE = re.compile(
    r"\bbench/(?!run\.py)\w+\.py|`\w+\.py [^`]*`|`core_cost\.py`"
    r"|python -[mX] \S+|\bdev\.py \w+|performance\.md#|\[measured\]\(|\b[Mm]edians? of \d+|\b[Ss]een in one run"
)
TABLE = re.compile(r"^(\|.*)\n\|[ :|-]+\n((?:\|.*\n?)+)", re.MULTILINE)
HEAD = re.compile(r"\b(ns|nanoseconds|µs|us|microseconds|ms|(?:million )?\w+ a second)\b")
CELL = re.compile(r"\| *(?P<number>\d[\d,]*(?:\.\d+)?) *(?=\|)")
PLACE = re.compile(r"<!-- run\.py: \w+ -->.*?<!-- end -->", re.DOTALL)
HEADING = re.compile(r"^#+ .*$", re.MULTILINE)
SCALES = {"us": 1e3, "µs": 1e3, "microseconds": 1e3, "ms": 1e6}
#: What is not C between the quotes.
DOCSTRING = re.compile(r'(?<!\*:\n    )"""(.*?)"""', re.DOTALL)


@dataclass(frozen=True)
class Figure:
    place: str
    text: str
    number: str
    unit: str


def sections(page: Path) -> Iterator[tuple[int, str]]:
    """The line where a section begins, and its text. A comment of a code block is no heading."""
    text = PLACE.sub(lambda place: "\n" * place[0].count("\n"), page.read_text(encoding="utf-8"))
    blank = FENCE.sub(lambda fence: re.sub(r"[^\n]", " ", fence[0]), text)
    starts = [0, *(heading.start() for heading in HEADING.finditer(blank)), len(text)]
    for begin, end in pairwise(starts):
        yield text.count("\n", 0, begin) + 1, text[begin:end]


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    text = path.read_text(encoding="utf-8")
    if path.suffix not in (".py", ".pyi"):
        for found in DOCSTRING.finditer(text):
            yield text.count("\n", 0, found.start()) + 1, found[1]
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def figures(name: str, first_line: int, text: str) -> Iterator[Figure]:
    found = [match for pattern in FIGURES for match in pattern.finditer(text)]
    position = 0
    for sentence in [*SENTENCE.split(text)]:
        position = text.index(sentence, position)
        if SAYS_COST.search(sentence):
            found += COSTS.finditer(text, position, position + len(sentence))
    for table in TABLE.finditer(text):
        if unit := HEAD.search(table[1]):
            for cell in CELL.finditer(text, table.start(2), table.end(2)):
                line = first_line + text.count("\n", 0, cell.start())
                yield Figure(f"{name}:{line}", cell["number"], cell["number"], unit[1])
    for match in sorted(found, key=lambda match: match.start()):
        line = first_line + text.count("\n", 0, match.start())
        yield Figure(f"{name}:{line}", match[0], match["number"], match["unit"])


def texts() -> Iterator[tuple[str, int, str]]:
    for page in PAGES:
        if page != REPORT:
            for line, text in sections(page):
                yield page.relative_to(ROOT).as_posix(), line, text
    for kind in ("py", "pyi", "pyx", "pxd", "pxi"):
        for path in sorted(PACKAGE.rglob(f"*.{kind}")):
            for line, text in docstrings(path):
                yield path.relative_to(ROOT).as_posix(), line, text


def numbers_of_the_run() -> list[float]:
    text = REPORT.read_text(encoding="utf-8")
    return [float(number.replace(",", "")) for number in re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?", text)]


def is_of_the_run(figure: Figure, numbers: list[float]) -> bool:
    """Among the numbers of the report, in this unit or as nanoseconds, rounded as the page rounds."""
    digits = figure.number.replace(",", "")
    value = float(digits)
    significant = len(digits.replace(".", "").strip("0")) or 1
    scale = 1e6 if figure.unit.startswith("million") else SCALES.get(figure.unit, 1.0)
    return any(
        rounded(number / factor, significant) == value for factor in {1.0, scale} for number in numbers if number > 0
    )


def rounded(value: float, significant: int) -> float:
    return round(value, significant - 1 - math.floor(math.log10(value)))


def wrong_figures(all_texts: Iterable[tuple[str, int, str]], numbers: list[float]) -> list[str]:
    wrong = []
    for name, line, text in all_texts:
        if SOURCE.search(text):
            continue
        for figure in figures(name, line, text):
            if not RUN.search(text):
                wrong.append(f"{figure.place}: {figure.text!r}: nothing in its section says how it was measured")
            elif not is_of_the_run(figure, numbers):
                wrong.append(f"{figure.place}: {figure.text!r} is not in docs/benchmarks.md")
    return wrong


def test_each_figure_is_of_the_last_run_or_says_how_it_was_measured() -> None:
    wrong = wrong_figures(texts(), numbers_of_the_run())
    assert not wrong, "\n" + "\n".join(wrong)


def test_the_tables_of_the_run_are_those_of_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a run, or a change of a table: `python bench/run.py --report-only`."""
    monkeypatch.syspath_prepend(str(BENCH))
    pages: Any = importlib.import_module("harness.pages")
    report = pages.Report(json.loads((BENCH / "results" / "results.json").read_text()))
    for path in pages.paths():
        text = path.read_text(encoding="utf-8")
        assert pages.filled(text, report) == text, f"{path.name} is not what the results give"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A call takes 33 ns, or 0.5 µs.", ["33 ns", "0.5 µs"]),
        ("5.4 million lines a second, 62x the base", ["5.4 million lines a second", "62x"]),
        ("40 times cheaper", ["40 times cheaper"]),
        ("It is tried 3 times every 100 ms, up to 4 MiB.", []),
        ("The import takes 19 ms.", ["19 ms"]),
        ("The limit is 100 ms. It takes a name.", []),
        ("x86, 0x10, 2x4, 8 times the facility", []),
        ("| a call | ns |\n| --- | ---: |\n| text | 33.1 |\n| of 24 | 1,200 |\n", ["33.1", "1,200"]),
        ("| setting | default |\n| --- | ---: |\n| size | 64 |\n", []),
        ("It takes the buffer (16 MiB) and a pause of `20 us`.", []),
    ],
)
def test_a_figure_is_told_from_a_setting(text: str, expected: list[str]) -> None:
    assert [figure.text for figure in figures("page", 1, text)] == expected


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("A call costs 33 ns.", 1),
        ("A call costs 33 ns (`python bench/cost.py core`).", 0),
        ("A call costs 33 ns ([measured](secrets.md#what-it-costs)).", 0),
        ("A call costs 53 ns, 5 less than before ([all](benchmarks.md)).", 0),
        ("A call costs 54 ns ([all](benchmarks.md)).", 1),
    ],
)
def test_a_figure_needs_a_source_or_the_run(text: str, count: int) -> None:
    assert len(wrong_figures([("page", 1, text)], [53.2])) == count


def test_a_figure_is_compared_as_it_is_rounded() -> None:
    assert is_of_the_run(Figure("", "", "1.2", "µs"), [1177.0])
    assert is_of_the_run(Figure("", "", "53", "ns"), [53.2])
    assert is_of_the_run(Figure("", "", "6", "million lines a second"), [5_999_996.0])
    assert not is_of_the_run(Figure("", "", "54", "ns"), [53.2])
