"""What is published and by whom: wheel targets, workflows, one name and one version. Needs the source tree."""

import importlib.util
import re
import tomllib
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT
from tests.support.programs import run_module

WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
PYTHONS = ("cp311", "cp312", "cp313", "cp314", "cp314t", "cp315", "cp315t")
PLATFORMS = {
    "linux": ("manylinux_x86_64", "manylinux_aarch64", "musllinux_x86_64", "musllinux_aarch64"),
    "macos": ("macosx_x86_64", "macosx_arm64"),
    "windows": ("win_amd64",),
}

pytestmark = pytest.mark.skipif(not WORKFLOWS, reason="an installed wheel or an sdist is tested, not the repository")


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.skipif(importlib.util.find_spec("cibuildwheel") is None, reason="the group `lint` is not installed")
def test_wheels_are_built_for_what_the_readme_names(platform: str) -> None:
    printed = run_module("cibuildwheel", "--print-build-identifiers", "--platform", platform, ROOT, may_complain=True)
    assert set(printed.stdout.split()) == {
        f"{python}-{target}" for python, target in product(PYTHONS, PLATFORMS[platform])
    }


def test_linux_wheels_are_for_manylinux_2_28_and_musllinux_1_2() -> None:
    linux = project()["tool"]["cibuildwheel"]["linux"]
    assert {key: value for key, value in linux.items() if key.endswith("-image")} == {
        "manylinux-x86_64-image": "manylinux_2_28",
        "manylinux-aarch64-image": "manylinux_2_28",
        "musllinux-x86_64-image": "musllinux_1_2",
        "musllinux-aarch64-image": "musllinux_1_2",
    }


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_with_their_version_beside(path: Path) -> None:
    uses = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
    assert uses
    for one in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_nothing_that_a_job_does_not_ask_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "\npermissions: {}\n" in text
    asked = re.findall(r"^ {6}([\w-]+): (read|write)", text, flags=re.MULTILINE)
    allowed = [("contents", "read")]
    if path.stem == "wheels":
        allowed.append(("id-token", "write"))
        assert text.count("id-token: write") == 1
        assert text.index("id-token: write") > text.index("\n  publish:\n")
    assert set(asked) <= set(allowed)


def test_the_distributions_name_is_written_once() -> None:
    assert project()["project"]["name"] == "logly"
    assert "name: logly" not in "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)


def test_the_version_is_written_once() -> None:
    assert project()["project"]["dynamic"] == ["version"]
    assert "version" not in project()["project"]


def test_nothing_is_needed_at_run_time() -> None:
    assert project()["project"]["dependencies"] == []
