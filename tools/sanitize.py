"""Runs the tests under a sanitizer or valgrind, on a copy of the sources, so that no build is left behind.

    python tools/sanitize.py asan              # or ubsan, tsan, valgrind; several are run in turn
    python tools/sanitize.py tsan -- -k ring   # what follows -- goes to pytest
    python tools/sanitize.py tsan --self-check # does it still catch a seeded fault?

Needs gcc's sanitizer libraries (they come with gcc) and, for valgrind, the package of that name. The
interpreter is the one that runs this script, or `--python`; it needs cython, setuptools, pytest and the
plugins of the tests. See docs/development.md for how each was made to work.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
LIBRARIES = {"asan": "libasan.so", "ubsan": "libubsan.so", "tsan": "libtsan.so"}
# Never `called_from_lib:libpython` nor ignore_noninstrumented_modules here: they would blind TSan to the
# mutex of the GIL, and every object that two threads touch in turn would be reported.
# A free-threaded interpreter synchronises with atomics of its own, which TSan sees only in one built for it
# (--with-thread-sanitizer): its hand-over of reference counts between threads.
TSAN_SUPPRESSIONS = "race:_PyObjectStack_\nrace:^_Py_brc_\nrace:^merge_queued_objects\n"
# What the interpreter does by itself, found in its own topmost frame.
VALGRIND_SUPPRESSIONS = "".join(
    f"{{\n   interpreter\n   Memcheck:{kind}\n{leaf}   obj:{interpreter}\n}}\n"
    for kind in ("Cond", "Value8", "Value4", "Addr32", "Addr16", "Addr8", "Addr4", "Addr1")
    for interpreter in ("*/libpython3*", "*/bin/python3*")
    # Directly, or in a wide-vector string function that it calls.
    for leaf in ("", "   fun:*mem*\n", "   fun:*str*\n")
)
DEBIAN_SUPPRESSIONS = Path("/usr/lib/valgrind/python3.supp")

# Faults on purpose, one for each tool; `--self-check` builds them into the copy.
FAULTS = """
from libc.stdlib cimport free, malloc

cdef extern from *:
    '''
    #include <thread>
    static long shared_counter = 0;
    static void seeded_race() {
        std::thread other([] { for (int i = 0; i < 100000; i++) shared_counter++; });
        for (int i = 0; i < 100000; i++) shared_counter++;
        other.join();
    }
    // Not a signed overflow: Python's own flags (-fwrapv) make that defined.
    static int seeded_shift(int value) { return 1 << value; }
    '''
    void seeded_race() nogil
    int seeded_shift(int value) nogil

def race(by):
    with nogil:
        seeded_race()

def shift(int by):
    return seeded_shift(by)

def heap(by):
    cdef char* data = <char*> malloc(16)
    free(data)
    # Read after free.
    return data[3] + 1 if data[3] > 4 else 0
"""
FAULT_OF = {"tsan": "race", "ubsan": "shift", "asan": "heap", "valgrind": "heap"}


def copy_sources(target: Path) -> None:
    ignore = shutil.ignore_patterns(".git", "build", "dist", "*.so", "*.pyd", "__pycache__", ".*cache", "logs")
    shutil.copytree(REPOSITORY, target, ignore=ignore, dirs_exist_ok=True)


def library(name: str) -> str:
    """Path of one of the compiler's run-time libraries."""
    compiler = shlex.split(os.environ.get("CC", "gcc"))
    command = [*compiler, f"-print-file-name={name}"]
    path = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    if not os.path.isabs(path):
        sys.exit(f"{name}: not found by {compiler[0]}; install the compiler's sanitizer libraries")
    return os.path.realpath(path)


def without_randomisation() -> list[str]:
    """gcc 12's TSan cannot map its shadow where the kernel randomises more than 28 bits of addresses."""
    return ["setarch", "-R"] if shutil.which("setarch") else []


def is_free_threaded(python: str) -> bool:
    code = "import sysconfig; print(sysconfig.get_config_var('Py_GIL_DISABLED') or 0)"
    env = os.environ | {"TSAN_OPTIONS": "report_bugs=0"}
    answer = subprocess.run([*without_randomisation(), python, "-c", code], capture_output=True, text=True, env=env)
    return answer.stdout.strip() == "1"


def environment(tool: str, folder: Path, python: str) -> dict[str, str]:
    log = folder / "reports" / tool
    log.parent.mkdir(exist_ok=True)
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    if not is_free_threaded(python):
        # Python's own allocator would hide what happens inside its arenas; a free-threaded build needs it.
        env["PYTHONMALLOC"] = "malloc"
    if tool == "valgrind":
        return env
    # libstdc++ too: without it the sanitizer cannot find __cxa_throw of extensions that are loaded later.
    env["LD_PRELOAD"] = f"{library(LIBRARIES[tool])}:{library('libstdc++.so.6')}"
    # A report to a file: pytest captures stderr, and an aborting process would take it along.
    common = f"log_path={log}:halt_on_error=1"
    env["ASAN_OPTIONS"] = f"{common}:detect_leaks=0:allocator_may_return_null=1:detect_stack_use_after_return=1"
    env["UBSAN_OPTIONS"] = f"{common}:print_stacktrace=1"
    suppressions = folder / "tsan.supp"
    suppressions.write_text(TSAN_SUPPRESSIONS)
    env["TSAN_OPTIONS"] = (
        f"log_path={log}:halt_on_error=0:second_deadlock_stack=1:history_size=4:suppressions={suppressions}"
    )
    return env


def build(tool: str, folder: Path, python: str) -> None:
    switch = "debug" if tool == "valgrind" else tool
    # The interpreter itself may be built with TSan: what it does while it compiles is of no interest.
    env = os.environ | {"LOGLY_BUILD": f"probe,{switch}", "TSAN_OPTIONS": "report_bugs=0"}
    command = [python, "setup.py", "-q", "build_ext", "--inplace"]
    if tool == "tsan":
        command = [*without_randomisation(), *command]
    subprocess.run(command, cwd=folder, env=env, check=True)


def prefix(tool: str, folder: Path) -> list[str]:
    if tool == "tsan":
        return without_randomisation()
    if tool != "valgrind":
        return []
    command = ["valgrind", "-q", "--error-exitcode=99", "--leak-check=no", "--trace-children=no"]
    suppressions = folder / "valgrind.supp"
    suppressions.write_text(VALGRIND_SUPPRESSIONS)
    command.append(f"--suppressions={suppressions}")
    if DEBIAN_SUPPRESSIONS.exists():
        command.append(f"--suppressions={DEBIAN_SUPPRESSIONS}")
    return [*command, f"--log-file={folder}/reports/valgrind.%p"]


def run(tool: str, options: argparse.Namespace) -> bool:
    """True when the tests passed and the tool has nothing to report."""
    with tempfile.TemporaryDirectory(prefix="logly-sanitize-") as name:
        folder = Path(name)
        copy_sources(folder)
        if options.self_check:
            Path(folder, "tests", "_probe_faults.pyx").write_text(FAULTS)
        build(tool, folder, options.python)
        tests = [options.python, "-m", "pytest", "-p", "no:cacheprovider", "--timeout=1200", *options.pytest]
        if options.self_check:
            fault = f"from tests import _probe_faults; _probe_faults.{FAULT_OF[tool]}(40)"
            tests = [options.python, "-c", fault]
        command = [*prefix(tool, folder), *tests]
        code = subprocess.run(
            command, cwd=folder, env=environment(tool, folder, options.python), check=False
        ).returncode
        reports = [text for path in sorted(folder.glob("reports/*")) if (text := path.read_text().strip())]
    for text in reports:
        print(text.replace(str(folder), "."))
    if options.self_check:
        caught = any("_probe_faults" in text for text in reports)
        print(f"{tool}: seeded {FAULT_OF[tool]} {'caught' if caught else 'NOT CAUGHT'}")
        return caught
    # 5: pytest found no tests.
    print(f"{tool}: exit code {code}, {len(reports)} report(s)")
    return code in (0, 5) and not reports


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tools", nargs="+", choices=list(FAULT_OF), metavar="TOOL", help=", ".join(FAULT_OF))
    parser.add_argument("--python", default=sys.executable, help="interpreter to build for and run")
    parser.add_argument("--self-check", action="store_true", help="run a seeded fault instead of the tests")
    own, pytest = sys.argv[1:], []
    if "--" in own:
        split = own.index("--")
        own, pytest = own[:split], own[split + 1 :]
    options = parser.parse_args(own)
    options.pytest = pytest
    results = [run(tool, options) for tool in options.tools]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
