"""Templates and call sites: registered once, given up with their code, and a registry that is full."""

import gc
import threading
from pathlib import Path

import pytest

from tests.support.hooks import limit_registry, registry_counts
from tests.support.output import Output


@pytest.fixture
def shown(tmp_path: Path):
    """With every part of a record in the line."""
    output = Output(tmp_path, "{level}|{module}|{function}|{lineno}|{message}|{fields}|{exception}")
    yield output
    output.logger.close()


@pytest.fixture
def full_registry():
    templates, sites = registry_counts()
    limit_registry(templates, sites)
    yield
    limit_registry()


def test_a_full_registry_only_costs_speed(shown: Output, full_registry: None) -> None:
    counts = registry_counts()
    for i in range(50):
        exec(
            f"logger.info('fresh {i} {{}} {{:.2f}}', {i}, 0.5, own={i})",
            {"logger": shown.logger, "__name__": f"made{i}"},
        )
    for i, line in enumerate(shown.text().splitlines()):
        assert line.split("|")[:5] == ["INFO", f"made{i}", "<module>", "1", f"fresh {i} {i} 0.50"]
        assert f"own={i}" in line
    templates, sites = registry_counts()
    assert templates <= counts[0]
    assert sites <= counts[1]
    shown.has_failed(0)


def test_a_call_site_and_a_template_are_registered_once(shown: Output) -> None:
    def log(i: int) -> None:
        shown.logger.info("registered once {}", i)

    for i in range(50):
        log(i)  # a specialized call may count as a place of its own
    counts = registry_counts()
    for i in range(50, 150):
        log(i)
    assert registry_counts() == counts
    assert [line.split("|")[4] for line in shown.text().splitlines()] == [f"registered once {i}" for i in range(150)]


def test_code_that_is_deleted_does_not_lend_its_place_to_other_code(shown: Output) -> None:
    for i in range(300):
        scope = {"logger": shown.logger, "__name__": f"m{i}"}
        exec(compile("\n" * i + f"def f{i}():\n logger.info('x')\nf{i}()", f"file{i}.py", "exec"), scope)
        del scope
        gc.collect(0)
    for i, line in enumerate(shown.text().splitlines()):
        assert line.split("|")[:4] == ["INFO", f"m{i}", f"f{i}", str(i + 2)]


def test_a_call_from_a_thread_without_a_python_caller(shown: Output) -> None:
    thread = threading.Thread(target=shown.logger.info, args=("from a thread",))
    thread.start()
    thread.join()
    assert shown.last().split("|")[4] == "from a thread"
