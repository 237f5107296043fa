"""Builds and loads the floor (`_floor.pyx`): empty compiled methods to compare with."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from harness import BENCH, REPOSITORY

SOURCE = BENCH / "harness" / "_floor.pyx"
BUILD = REPOSITORY / "build" / "bench"


def load_floor() -> Any:
    """An instance of the compiled `Floor`; built at first use, into build/bench. Needs Cython."""
    target = BUILD / f"_floor{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not target.exists() or target.stat().st_mtime < SOURCE.stat().st_mtime:
        build(target)
    spec = importlib.util.spec_from_file_location("_floor", target)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Floor()


def build(target: Path) -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    folders = f"'--build-lib', {str(BUILD)!r}, '--build-temp', {str(BUILD / 'temp')!r}"
    program = (
        "from setuptools import setup, Extension\n"
        "from Cython.Build import cythonize\n"
        f"floor = Extension('_floor', [{str(SOURCE)!r}], extra_compile_args=['-O3'])\n"
        f"modules = cythonize([floor], build_dir={str(BUILD / 'temp')!r}, quiet=True)\n"
        f"setup(script_args=['-q', 'build_ext', {folders}], ext_modules=modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=sys.stderr)
