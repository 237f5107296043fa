"""Lines a second end to end, beside quill, the fastest asynchronous logger of C++: the same line, in turns.

    git clone --depth 1 https://github.com/odygrd/quill
    python bench/beside_quill.py --quill quill

Compiles `harness/beside_quill.cpp` against the checkout's headers with `g++ -O3`. Then both log four million lines
`"Iteration: {} int: {} double: {}"` with nanosecond time, thread id, source location and level, from one thread to one
file, until the last line is in the file; each run is a process of its own, and they take turns. Lines are counted
after timing. Neither is pinned to processors unless `--affinity` says so.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from harness import BENCH, lines, tables, turns

LAYOUT = "{time:HH:mm:ss.SSSSSSSSS} [{thread}] {filename}:{lineno} {level} {message}"
TIMEOUT_S = 300


def compile_quill(checkout: Path, compiler: str, target: Path) -> None:
    include = checkout / "include"
    if not (include / "quill" / "Backend.h").exists():
        sys.exit(f"no include/quill/Backend.h in {checkout}")
    flags = ["-std=c++17", "-O3", "-DNDEBUG", "-isystem", str(include), "-pthread"]
    subprocess.run([compiler, *flags, str(BENCH / "harness" / "beside_quill.cpp"), "-o", str(target)], check=True)


def log_lines(path: str, calls: int, cpus: list[int]) -> float:
    """Seconds that logly takes; the caller and the flusher on these processors, if any are named."""
    from logly import Logger, LoggerConfig, SinkConfig

    with Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=path, format=LAYOUT))
        logger.info("Iteration: ready")
        logger.flush()
        if cpus:
            for thread in threading.enumerate():
                is_caller = thread is threading.main_thread()
                os.sched_setaffinity(thread.native_id or 0, {cpus[0] if is_caller else cpus[1]})
        begun = time.perf_counter()
        # Not compiled from a text as elsewhere: the line has this file's name, as long as that of the C++ side.
        for i in range(calls):
            logger.info("Iteration: {} int: {} double: {}", i, i * 2, i / 2)
        logger.flush()
        return time.perf_counter() - begun


def last_line(path: str) -> str:
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - 300))
        return file.read().rstrip(b"\n").rpartition(b"\n")[2].decode()


def one_run(name: str, command: list[str], path: str, calls: int) -> float:
    """Million lines a second; ends the program if any line is missing."""
    # quill tells on stderr whenever its queue grows.
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    if done.returncode:
        sys.exit(f"{name}: exit code {done.returncode}\n{done.stderr}")
    rate = calls / float(done.stdout.split()[-1]) / 1e6
    # One more: the record that made the thread's queue.
    lines.check(name, path, calls + 1)
    print(f"{name:6} {rate:6.2f} million lines a second, all in the file, the last: {last_line(path)}", flush=True)
    os.unlink(path)
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quill", type=Path, help="a checkout of quill; its headers are all that is used")
    parser.add_argument("--lines", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--affinity", type=int, nargs=2, default=[], metavar="CPU", help="of the caller, of the backend"
    )
    parser.add_argument("--compiler", default="g++")
    parser.add_argument("--dir", help="where the log files go; default: the temporary directory")
    tables.add_option(parser)
    parser.add_argument("--logly", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.logly:
        print(log_lines(options.logly, options.lines, options.affinity))
        return
    if not options.quill:
        parser.error("--quill is needed")

    cpus = [str(cpu) for cpu in options.affinity]
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        program, path = Path(folder, "beside_quill"), os.path.join(folder, "bench.log")
        compile_quill(options.quill, options.compiler, program)
        ours = [sys.executable, __file__, "--logly", path, "--lines", str(options.lines)]
        commands = {
            "logly": ours + (["--affinity", *cpus] if cpus else []),
            "quill": [str(program), path, str(options.lines), *cpus],
        }
        runs = {
            name: (lambda name=name, command=command: one_run(name, command, path, options.lines))
            for name, command in commands.items()
        }
        rates = turns.take_turns(runs, options.rounds)
    turns.print_table("million lines a second", rates, base="quill")
    tables.write(options.json)


if __name__ == "__main__":
    main()
