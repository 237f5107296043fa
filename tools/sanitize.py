"""Runs the tests under a sanitizer, under valgrind or with assertions on, in a copy of the tree that is then removed.

    python tools/sanitize.py asan              # or ubsan, tsan, valgrind, leaks; several are run in turn
    python tools/sanitize.py tsan -- -k ring   # what follows -- goes to pytest
    python tools/sanitize.py asan --fuzz 600   # the fuzz targets instead of the tests, so many seconds each
    python tools/sanitize.py debug             # assertions on: the debug build with Cython's reference nanny
    python tools/sanitize.py leaks             # LeakSanitizer over 200 lives of a logger (tests/support/leaks.py)
    python tools/sanitize.py tsan --self-check # does it still catch a seeded fault?

Without arguments for pytest each file of tests is a run of its own, in turn, so that one that a tool makes very slow or
large does not take the others along. Property tests try few examples unless HYPOTHESIS_PROFILE says otherwise.

Needs gcc's sanitizer libraries (they come with gcc) and, for valgrind, the package of that name. The
interpreter is the one that runs this script, or `--python`; it needs cython, setuptools, pytest and the
plugins of the tests. See docs/development.md for how each was made to work.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
LIBRARIES = {"asan": "libasan.so", "ubsan": "libubsan.so", "tsan": "libtsan.so", "leaks": "libasan.so"}
# Not under any of the tools, and why.
DESELECTED = {
    "tests/house/test_public_api.py::test_the_version_is_the_distributions": "a copy of the tree is not installed",
    "tests/layout/test_color.py::test_the_console_of_a_program_on_a_terminal": "its program lacks the preload",
    "tests/spool/test_spool_kills.py::test_any_sudden_end[os.kill(os.getpid(), signal.SIGSEGV)]": "ends by that",
}
OF_ONE_TOOL = {
    # gcc 12's ASan does not let go of its allocator's locks at a fork: CPython's code after it waits for them where
    # another thread was allocating. And it must be the first library that is preloaded.
    "asan": {
        "tests/control/test_fork.py::test_a_child_that_ends_by_sys_exit_loses_nothing": "forks while a thread begins",
        "tests/control/test_fork_hooks.py": "forks while a thread begins",
        "tests/outlets/test_chaos.py": "forks while threads allocate",
        "tests/flusher/test_routes_no_memory.py": "preloads a library of its own",
        "tests/layout/test_messages.py::test_a_huge_message_does_not_stay_in_memory": "ASan keeps what was freed",
        "tests/spool/test_spool_power.py": "preloads a library of its own",
    },
    "debug": {
        "tests/caller/test_backpressure.py::test_a_ring_that_is_emptied_while_a_caller_finds_it_full": "limits seconds",
        "tests/house/test_public_api.py::test_importing_starts_nothing_and_loads_little": "the nanny is loaded",
    },
    # gcc 12's TSan crashes where a thread that forked ends in the child, also without logly.
    "tsan": {
        "tests/caller/test_backpressure.py::test_a_ring_that_is_emptied_while_a_caller_finds_it_full": "limits seconds",
        "tests/control/test_fork.py::test_a_child_that_a_thread_forked_ends_with_that_thread": "does that",
        "tests/control/test_fork_beside.py::test_a_child_that_a_function_sink_forks_and_that_returns_from_it_has_no_record_of_"
        "the_parents": "does that",
    },
}
SWITCHES = {"valgrind": "debug", "leaks": "asan", "debug": "debug,refnanny"}
"""How setup.py builds for a tool, where the name of its switch is another one."""
CHUNK_S = 3600
LIVES = 200
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
from logly.system.assertions cimport assert_that

cdef extern from *:
    '''
    #include <cstdlib>
    #include <thread>
    static long shared_counter = 0;
    static void seeded_race() {
        std::thread other([] { for (int i = 0; i < 100000; i++) shared_counter++; });
        for (int i = 0; i < 100000; i++) shared_counter++;
        other.join();
    }
    // Not a signed overflow: Python's own flags (-fwrapv) make that defined.
    static int seeded_shift(int value) { return 1 << value; }
    #define seeded_reference(of) __Pyx_INCREF(of)
    static void* volatile seeded_block;
    static void seeded_loss(int size) {
        for (int i = 0; i < 100; i++) seeded_block = malloc(size);
        seeded_block = nullptr;
    }
    '''
    void seeded_race() nogil
    int seeded_shift(int value) nogil
    void seeded_loss(int size) nogil
    void seeded_reference(object of)

def race(by):
    with nogil:
        seeded_race()

def shift(int by):
    return seeded_shift(by)

def lost(by):
    seeded_loss(by)

# A reference that nothing gives back.
def reference(by):
    cdef object taken = [by]
    seeded_reference(taken)

def assertion(by):
    assert_that(by < 0)

def heap(by):
    cdef char* data = <char*> malloc(16)
    free(data)
    # Read after free.
    return data[3] + 1 if data[3] > 4 else 0
"""
FAULT_OF = {
    "tsan": "race",
    "ubsan": "shift",
    "asan": "heap",
    "valgrind": "heap",
    "leaks": "lost",
    "debug": "reference",  # and after it the assertion
}

# Cython's nanny prints what it finds, and a test may never show it. The nanny keeps the `print` of its first import.
NANNY = """
import builtins
import os

shown = builtins.print

def report(*words):
    with open(f"{REPORTS}/nanny.{os.getpid()}", "a") as file:
        shown(*words, file=file)

builtins.print = report
try:
    import Cython.Runtime.refnanny
except ImportError:
    pass  # a sub-interpreter: it is of one interpreter
finally:
    builtins.print = shown
"""


def copy_sources(target: Path) -> None:
    made = (".git", ".venv*", ".hypothesis", ".*cache", "__pycache__", "build", "dist", "logs", "*.so", "*.pyd")
    ignore = shutil.ignore_patterns(*made)
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
    command = [*without_randomisation(), python, "-c", code]
    answer = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    return answer.stdout.strip() == "1"


def environment(tool: str, folder: Path, python: str) -> dict[str, str]:
    log = folder / "reports" / tool
    log.parent.mkdir(exist_ok=True)
    env = {"HYPOTHESIS_PROFILE": "few", **os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    # The copy, and no logly that is installed; also for interpreters that tests start elsewhere.
    env["PYTHONPATH"] = str(folder)
    if tool == "debug":
        # Guards around each block, and a check that whoever allocates holds the GIL.
        env["PYTHONMALLOC"] = "debug"
        (folder / "sitecustomize.py").write_text(f"REPORTS = {str(log.parent)!r}\n{NANNY}")
        return env
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
    if tool == "leaks":
        # The interpreter has no frame pointers: its frames would end the stacks before logly's.
        env["ASAN_OPTIONS"] = f"log_path={log}:detect_leaks=1:fast_unwind_on_malloc=0:malloc_context_size=25"
    env["UBSAN_OPTIONS"] = f"{common}:print_stacktrace=1"
    suppressions = folder / "tsan.supp"
    suppressions.write_text(TSAN_SUPPRESSIONS)
    env["TSAN_OPTIONS"] = (
        f"log_path={log}:halt_on_error=0:die_after_fork=0:second_deadlock_stack=1:history_size=4:suppressions={suppressions}"
    )
    return env


def build(tool: str, folder: Path, python: str) -> None:
    switch = SWITCHES.get(tool, tool)
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


def programs(tool: str, folder: Path, options: argparse.Namespace) -> list[list[str]]:
    """The commands that are to run clean, after the interpreter's name."""
    if options.self_check:
        faults = [FAULT_OF[tool], *(["assertion"] if tool == "debug" else [])]
        calls = "; ".join(f"faults.{fault}(40)" for fault in faults)
        return [["-c", f"from tests.probe import faults; {calls}"]]
    if options.fuzz:
        return [["-m", "tests.fuzz", "--seconds", str(options.fuzz)]]
    if tool == "leaks":
        return [["-m", "tests.support.leaks", str(LIVES)]]
    pytest = ["-m", "pytest", "-p", "no:cacheprovider", "--timeout=1200"]
    if options.pytest:
        return [[*pytest, *options.pytest]]
    left_out = {**DESELECTED, **OF_ONE_TOOL.get(tool, {})}
    pytest += [f"--deselect={test}" for test in left_out]
    files = sorted(path.relative_to(folder).as_posix() for path in folder.glob("tests/*/test_*.py"))
    files = [file for file in files if file not in left_out]
    return [[*pytest, "-q", file] for file in files]


def run_one(command: list[str], folder: Path, env: dict[str, str]) -> int:
    print("+", *command[command.index("-m") if "-m" in command else 0 :], flush=True)
    try:
        return subprocess.run(command, cwd=folder, env=env, check=False, timeout=CHUNK_S).returncode
    except subprocess.TimeoutExpired:
        print(f"  did not end within {CHUNK_S} s", flush=True)
        return -1


def reports_of(tool: str, folder: Path) -> list[str]:
    texts = [text for path in sorted(folder.glob("reports/*")) if (text := path.read_text().strip())]
    if tool != "leaks":
        return texts
    # What the interpreter itself never frees is not ours.
    stacks = [stack for text in texts for stack in text.split("\n\n") if " leak of " in stack]
    return [stack for stack in stacks if "_core." in stack or "probe/faults" in stack]


def run(tool: str, options: argparse.Namespace) -> bool:
    """True when the tests passed and the tool has nothing to report."""
    with tempfile.TemporaryDirectory(prefix="logly-sanitize-") as name:
        folder = Path(name)
        copy_sources(folder)
        if options.self_check:
            Path(folder, "tests", "probe", "faults.pyx").write_text(FAULTS)
        build(tool, folder, options.python)
        env = environment(tool, folder, options.python)
        codes = {}
        for program in programs(tool, folder, options):
            codes[program[-1]] = run_one([*prefix(tool, folder), options.python, *program], folder, env)
        reports = reports_of(tool, folder)
    for text in reports:
        print(text.replace(str(folder), "."))
    if options.self_check:
        caught = any("probe/faults" in text for text in reports)
        if tool == "debug":
            caught = caught and list(codes.values()) == [-signal.SIGABRT]
        print(f"{tool}: seeded {FAULT_OF[tool]} {'caught' if caught else 'NOT CAUGHT'}")
        return caught
    # 5: pytest found no tests. LeakSanitizer ends with 23 whosever the leak is.
    failed = [name for name, code in codes.items() if code not in (0, 5) and not (tool == "leaks" and code == 23)]
    print(f"{tool}: {len(codes)} run(s), failed: {' '.join(failed) or 'none'}; {len(reports)} report(s)")
    return not failed and not reports


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tools", nargs="+", choices=list(FAULT_OF), metavar="TOOL", help=", ".join(FAULT_OF))
    parser.add_argument("--python", default=sys.executable, help="interpreter to build for and run")
    parser.add_argument("--fuzz", type=float, metavar="SECONDS", help="run the fuzz targets instead of the tests")
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
