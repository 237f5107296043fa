"""The benchmarks can be asked: every script answers `--help`, every comparison runs, and the report is the results'."""

import importlib.util
import json
import sys

import pytest

from tests.support import ROOT
from tests.support.programs import run_python

BENCH = ROOT / "bench"
PATIENCE_S = 100

if not (BENCH / "run.py").exists():
    pytest.skip("the benchmarks are not beside the tests: an installed wheel is tested", allow_module_level=True)

QUESTIONS = sorted(path.stem for path in BENCH.glob("*.py"))
COMPARISONS = sorted(path.stem for path in (BENCH / "comparisons").glob("[!_]*.py"))


@pytest.fixture
def harness(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    return importlib.import_module


def ask(*words, **options):
    return run_python(*words, encoding="utf-8", timeout=PATIENCE_S, may_complain=True, **options).stdout


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_answers_help(question):
    assert "usage: " in ask(BENCH / f"{question}.py", "--help")


def test_importing_a_question_does_nothing(tmp_path):
    program = f"""
import importlib, sys, threading
sys.path.insert(0, {str(BENCH)!r})
for name in {QUESTIONS!r}:
    assert importlib.import_module(name).__doc__, name
assert threading.active_count() == 1
"""
    assert ask("-c", program, cwd=tmp_path) == ""
    assert list(tmp_path.iterdir()) == []


def test_cost_lists_its_scenarios():
    listed = ask(BENCH / "cost.py", "--help")
    for name in ("args", "sizes", *COMPARISONS):
        assert f"\n  {name} " in listed


def test_a_scenario_that_does_not_exist_is_an_error():
    done = run_python(BENCH / "cost.py", "nothing", returncode=1)
    assert "usage: cost.py SCENARIO" in done.stderr


def test_a_scenario_of_pyperf_answers_help():
    pytest.importorskip("pyperf")
    assert "--peer" in ask(BENCH / "cost.py", "args", "--help")


@pytest.mark.parametrize("name", COMPARISONS)
def test_every_comparison_runs_and_finds_its_lines(name, tmp_path):
    """One round: the figures mean nothing, but each has its subjects, and all lines are counted."""
    pytest.importorskip("Cython")
    if name == "spool" and sys.platform != "linux":
        pytest.skip("a spool needs Linux")
    printed = ask(BENCH / "cost.py", name, "--rounds", "1", "--processes", "1", "--dir", tmp_path)
    if importlib.util.find_spec("structlog") and importlib.util.find_spec("orjson"):
        assert "not measured" not in printed
    assert "median of all rounds" in printed
    assert list(tmp_path.iterdir()) == []


def test_every_part_of_the_full_run_writes_its_figures(harness):
    for name, part in harness("harness.further").PARTS.items():
        script, *words = part.command
        assert "--json" in ask(BENCH / script, *words, "--help"), name


def test_what_a_script_shows_is_written(harness, tmp_path):
    tables = harness("harness.tables")
    tables.kept.clear()
    tables.show(tables.Table("ns", ["median", "ratio"], {"a": [1234.5, float("nan")]}, {"a": "3"}))
    tables.write(tmp_path / "a.json")
    [written] = json.loads((tmp_path / "a.json").read_text())
    expected = {"title": "ns", "columns": ["median", "ratio"], "rows": {"a": [1234.5, None]}, "goals": {"a": "3"}}
    assert written == expected
    assert tables.markdown(tables.Table(**written))[-1] == "| a | 1,234 |  | 3 |"


def test_what_only_the_second_interpreter_can_show_is_not_asked_of_the_first(harness):
    peers = harness("harness.libraries").with_beside(["logly_async", "loguru_plain", "logxide_file"], "3.13.0")
    assert peers == ["logly_async", "loguru_plain", "logly_async@3.13.0", "logxide_file@3.13.0"]


def test_the_storm_of_exceptions_runs_and_finds_its_lines(tmp_path):
    pytest.importorskip("Cython")
    words = ("--rounds", "1", "--seconds", "0.1", "--threads", "2", "--ring", "16 MiB", "--dir", tmp_path)
    printed = ask(BENCH / "exception_storm.py", *words)
    assert "| storm |" in printed
    assert " lines in the file" in printed
    assert list(tmp_path.iterdir()) == []


def test_the_report_is_what_the_results_give(harness, tmp_path):
    """After a change of the report: `python bench/run.py --report-only`."""
    results = json.loads((BENCH / "results" / "results.json").read_text())
    harness("harness.report").write(results, tmp_path / "benchmarks.md")
    for made in sorted(path for path in tmp_path.rglob("*") if path.is_file()):
        committed = ROOT / "docs" / made.relative_to(tmp_path)
        assert made.read_text() == committed.read_text(), f"{committed.name} is not what the results give"


def test_every_other_round_goes_backwards(harness):
    turns = harness("harness.turns")
    assert list(turns.in_turns(["a", "b"], 3)) == ["a", "b", "b", "a", "a", "b"]
    assert list(turns.in_turns(["a", "b"], 1, first=1)) == ["b", "a"]
    order = []
    found = turns.take_turns({name: (lambda name=name: order.append(name) or len(order)) for name in "ab"}, 2)
    assert (order, found) == (["a", "b", "b", "a"], {"a": [1, 4], "b": [2, 3]})


def test_a_ratio_is_formed_within_a_round(harness):
    turns = harness("harness.turns")
    # The machine is ten times as slow in the second round: the ratio does not see it.
    assert turns.ratio([2.0, 20.0, 2.0], [1.0, 10.0, 1.0]) == 2
    assert turns.ratio([2.0, 5.0], [1.0, 0.0]) == 2
    assert turns.difference([3.0, 30.0, 5.0], [1.0, 10.0, 2.0]) == 3


@pytest.mark.parametrize("chunk", [1, 3, 1 << 24])
def test_lines_are_counted_across_the_chunks_of_a_file(harness, monkeypatch, tmp_path, chunk):
    lines = harness("harness.lines")
    monkeypatch.setattr(lines, "CHUNK", chunk)
    path = tmp_path / "a.log"
    assert lines.count(path) == 0
    path.write_bytes(b"filled at 1\nfilled at 2\nfilled a\n")
    assert lines.count(path) == 3
    assert lines.count(path, b"filled at") == 2


@pytest.mark.parametrize(("written", "status"), [(10, "ok"), (9, "lost"), (11, "repeated")])
def test_a_library_whose_lines_are_not_all_there_is_not_ok(harness, written, status):
    row = {"status": "ok", "expected": 10, "written": written}
    assert harness("harness.rows").balance(row)["status"] == status


def test_every_library_has_a_module(harness):
    peers = harness("harness.libraries").PEERS
    assert sorted(peers) == sorted(path.stem for path in (BENCH / "peers").glob("[!_]*.py"))
