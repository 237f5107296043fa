"""Builds the compiled core, and on request the test-only window onto its internals.

Switches, given in the environment variable ``LOGLY_BUILD`` (comma separated):

``probe``   also build ``tests/probe/*.pyx`` (the test suite's view of the header-only data path), and what the core has
            for tests alone (control/probe.pxi)
``debug``   ``-O0 -g`` with assertions, Cython's checks of bounds and for None, and lines of Cython in gdb
``refnanny``   Cython's count of the references that each function takes and gives back: slow, for `dev.py debug`
``quick``   ``-O1`` without debug information: builds in a third of the time, for developing
``asan``, ``ubsan``, ``tsan``   the compiler's sanitizers (frame pointers kept, ``-O1 -g``)
``coverage``   counts of lines for gcov, which name the lines of Cython: what tools/coverage.py builds
``annotate``   write Cython's annotated HTML next to the sources
"""

import ast
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from Cython.Build import cythonize
from setuptools import Command, Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError


def level_macros(source: str) -> list[tuple[str, str]]:
    """The numbers of the built-in levels, and their places, for layout/levels.pxd; `Level` is the one list of them."""
    (level,) = (one for one in ast.parse(source).body if isinstance(one, ast.ClassDef) and one.name == "Level")
    numbers = {one.targets[0].id: one.value.value for one in level.body if isinstance(one, ast.Assign)}
    macros = [(f"LOGLY_LEVEL_{name}", str(number)) for name, number in numbers.items()]
    macros += [(f"LOGLY_PLACE_{name}", str(place)) for place, name in enumerate(numbers)]
    return [*macros, ("LOGLY_LEVELS", str(len(numbers)))]


switches = {word.strip() for word in os.environ.get("LOGLY_BUILD", "").split(",") if word.strip()}
unknown = switches - {"probe", "debug", "refnanny", "quick", "asan", "ubsan", "tsan", "coverage", "annotate"}
if unknown:
    sys.exit(f"LOGLY_BUILD: unknown switch {sorted(unknown)}; see setup.py")

if sys.platform == "darwin":
    # The system's libc++ has std::to_chars of floating point from here on.
    os.environ.setdefault("MACOSX_DEPLOYMENT_TARGET", "13.3")

msvc = sys.platform == "win32"
compile_args = ["/std:c++17", "/O2"] if msvc else ["-std=c++17", "-O3", "-g0", "-fvisibility=hidden"]
link_args = []
# What makes gcc's code smaller by a seventh, and not slower: -O3 also inlines where next to nothing is gained.
smaller = [
    # So many instructions may a function have that is declared inline, as all of a header are (200 at -O3, 70 at -O2).
    ["--param", "max-inline-insns-single=70"],
    # By so many percent may inlining lengthen the whole (40). What gains most comes first. 10 makes the flusher slower.
    ["--param", "inline-unit-growth=20"],
]
if sys.platform != "linux" or not switches.isdisjoint({"debug", "quick", "asan", "ubsan", "tsan", "coverage"}):
    smaller = []
LEVELS = Path(__file__).parent / "logly" / "levels.py"
macros = level_macros(LEVELS.read_text())
# A header-only .pxd does not inherit the directives of the file that cimports it: set them once, here.
directives = {
    "language_level": "3",
    "binding": False,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "embedsignature": True,
    "embedsignature.format": "clinic",
    "freethreading_compatible": True,
    "warn.undeclared": False,
}
if "debug" in switches and not msvc:
    # -UNDEBUG: the assertions of CPython's headers, of Cython's helpers and of our own (system/assertions.pxd).
    compile_args += ["-O0", "-g", "-UNDEBUG", "-D_GLIBCXX_ASSERTIONS"]
    directives |= {"boundscheck": True, "nonecheck": True}
if "probe" in switches:
    macros.append(("LOGLY_PROBE", "1"))
if "refnanny" in switches:
    macros.append(("CYTHON_REFNANNY", "1"))
if "quick" in switches and not msvc:
    compile_args += ["-O1", "-g0"]
for name, flag in (("asan", "address"), ("ubsan", "undefined"), ("tsan", "thread")):
    if name in switches:
        compile_args += [f"-fsanitize={flag}", "-fno-omit-frame-pointer", "-O1", "-g"]
        link_args += [f"-fsanitize={flag}"]
if "coverage" in switches:
    compile_args += ["--coverage", "-O0"]
    link_args += ["--coverage"]


class Translate(Command):
    """Cython's C++ alone, in build/cython."""

    user_options: ClassVar[list[tuple[str, str | None, str]]] = []

    def initialize_options(self) -> None:
        pass

    def finalize_options(self) -> None:
        pass

    def run(self) -> None:
        translated = cythonize(
            self.distribution.ext_modules,
            compiler_directives=directives,
            annotate="annotate" in switches,
            emit_linenums=not switches.isdisjoint({"coverage", "debug"}),
            build_dir="build/cython",
        )
        sources = {one.name: one.sources for one in translated}
        for one in self.distribution.ext_modules:
            one.sources = sources[one.name]


class Build(build_ext):
    def run(self) -> None:
        # Here, so that an sdist and metadata need no translation.
        self.run_command("translate")
        super().run()

    def build_extensions(self) -> None:
        """Gives the compiler those of `smaller` that it knows: it is asked to compile an empty file with each."""
        known = [word for options in smaller if self.knows(options) for word in options]
        for one in self.extensions:
            one.extra_compile_args = [*one.extra_compile_args, *known]
        super().build_extensions()

    def knows(self, options: list[str]) -> bool:
        with TemporaryDirectory() as folder:
            source = Path(folder, "empty.cpp")
            source.write_text("")
            try:
                # -Werror: clang only warns of options of gcc's that it ignores.
                self.compiler.compile([str(source)], output_dir=folder, extra_postargs=["-Werror", *options])
            except CompileError:
                return False
        return True


def extension(name: str, source: str) -> Extension:
    return Extension(
        name,
        [source],
        depends=[str(LEVELS)],
        language="c++",
        include_dirs=["."],
        define_macros=macros,
        extra_compile_args=compile_args,
        extra_link_args=link_args,
    )


extensions = [extension("logly._core", "logly/_core.pyx")]
if "probe" in switches:
    sources = sorted(Path("tests/probe").glob("*.pyx"))
    extensions += [extension(f"tests.probe.{source.stem}", source.as_posix()) for source in sources]

# For a compiler that is called by hand on Cython's C++ (tools/aarch64.sh): `g++ @build/macros.txt ...`.
Path("build").mkdir(exist_ok=True)
Path("build/macros.txt").write_text("".join(f"-D{name}={value}\n" for name, value in macros))

setup(cmdclass={"build_ext": Build, "translate": Translate}, ext_modules=extensions)
