"""`python -m logly routes`: which loggers it shows, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bridge.oracle import SEES_CHANGES
from tests.support.programs import environment, run_module, run_program

SET_UP = """
import logging
print("imported")
class Service:
    @staticmethod
    def set_up():
        logging.basicConfig(filename="app.log", format="%(message)s", level="INFO")
        logging.getLogger("shop")
        logging.getLogger("shop.db").addFilter(lambda record: True)
        logging.getLogger("quiet").disabled = True
def bad():
    raise ValueError("not today")
def leaves():
    raise SystemExit(0)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app_set_up.py").write_text(SET_UP)
    return tmp_path


def test_all_loggers_that_the_set_up_has_made_are_shown(folder: Path) -> None:
    done = run_module("logly", "routes", "app_set_up:Service.set_up", cwd=folder)
    said, head, *lines = done.stdout.splitlines()
    assert (said, head.split()) == ("imported", ["logger", "fast", "handlers", "why", "not"])
    rows = {line.split()[0]: line for line in lines}
    assert set(rows) == {"root", "shop", "shop.db", "quiet"}
    assert rows["shop"].split()[1] == rows["root"].split()[1] == ("yes" if SEES_CHANGES else "no")
    assert rows["shop.db"].split()[1] == rows["quiet"].split()[1] == "no"
    assert all("app.log" in row for row in rows.values())
    if SEES_CHANGES:
        assert "1 filter" in rows["shop.db"]
        assert rows["quiet"].endswith("no level is on")
    else:
        assert all(row.endswith("calls are fast only in a Python with a GIL") for row in rows.values())
    assert (folder / "app.log").read_text() == ""


def test_a_long_list_of_handlers_is_cut(folder: Path) -> None:
    name = "a" * 90
    (folder / "many_set_up.py").write_text(
        f"import logging\nlogging.basicConfig(filename='{name}.log')\nlogging.getLogger('shop')\n"
    )
    lines = run_module("logly", "routes", "many_set_up", cwd=folder).stdout.splitlines()
    assert max(map(len, lines)) < 140
    assert all("<FileHandler" in line and "aaa.log (NOTSET)>" in line and name not in line for line in lines[1:])


def test_json_is_for_programs(folder: Path) -> None:
    done = run_module("logly", "routes", "--json", "app_set_up:Service.set_up", cwd=folder)
    (found,) = [one for one in json.loads(done.stdout.partition("\n")[2]) if one["name"] == "shop"]
    assert found["is_fast"] is SEES_CHANGES
    assert (found["why_not"] is None) is SEES_CHANGES
    assert ["app.log" in handler for handler in found["handlers"]] == [True]
    assert (found["fast"], found["rendered"], found["original"]) == (0, 0, 0)


def test_a_module_alone_is_imported(folder: Path) -> None:
    assert run_module("logly", "routes", "app_set_up", cwd=folder).stdout.startswith("imported\n")


def test_it_ends_with_1_if_the_set_up_raises(folder: Path) -> None:
    done = run_module("logly", "routes", "app_set_up:bad", cwd=folder, returncode=1)
    assert done.stderr.startswith("Traceback")
    assert "not today" in done.stderr
    run_module("logly", "routes", "app_set_up:leaves", cwd=folder, returncode=1)


def test_it_ends_with_2_for_wrong_words(folder: Path) -> None:
    for words in ([], ["a", "b"], [":f"], ["a:"], ["no_such_module"], ["app_set_up:no_such"]):
        run_module("logly", "routes", *words, cwd=folder, returncode=2)
    for variable in ({"LOGLY_INSTALL": "0"}, {"LOGLY_WRITE": "never"}):
        done = run_module("logly", "routes", "app_set_up", cwd=folder, env=environment(**variable), returncode=2)
        (name,) = variable
        assert name in done.stderr or "never" in done.stderr


def test_an_installation_of_the_set_up_stays(folder: Path) -> None:
    (folder / "installs.py").write_text("import logging, logly\nlogly.install(write='call')\n")
    code = "from logly.__main__ import main; from logly.bridge import install\n"
    code += "main(['routes', 'installs']); print(install._installed.settings)"
    assert "(None, 'serve', 'call')" in run_program(code, cwd=folder).stdout
