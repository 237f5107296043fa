"""Lines a second end to end, beside quill, the fastest asynchronous logger of C++: the same line, in turns.

    git clone --depth 1 https://github.com/odygrd/quill
    python bench/beside_quill.py --quill quill

Compiles `beside_quill.cpp` against the checkout's headers with `g++ -O3`. Then both log four million lines
`"Iteration: {} int: {} double: {}"` with nanosecond time, thread id, source location and level, from one thread to one
file, until the last line is in the file; each run is a process of its own, and they take turns. Lines are counted
after timing. Neither is pinned to processors unless `--affinity` says so.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

BENCH = Path(__file__).resolve().parent
sys.path.insert(1, str(BENCH.parent))

LAYOUT = "{time:HH:mm:ss.SSSSSSSSS} [{thread}] {filename}:{lineno} {level} {message}"
TIMEOUT_S = 300


def compile_quill(checkout: Path, compiler: str, target: Path) -> None:
    include = checkout / "include"
    if not (include / "quill" / "Backend.h").exists():
        sys.exit(f"no include/quill/Backend.h in {checkout}")
    flags = ["-std=c++17", "-O3", "-DNDEBUG", "-isystem", str(include), "-pthread"]
    subprocess.run([compiler, *flags, str(BENCH / "beside_quill.cpp"), "-o", str(target)], check=True)


def log_lines(path: str, lines: int, cpus: list[int]) -> float:
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
        for i in range(lines):
            logger.info("Iteration: {} int: {} double: {}", i, i * 2, i / 2)
        logger.flush()
        return time.perf_counter() - begun


def lines_in(path: str) -> tuple[int, bytes]:
    """How many there are, and the last one."""
    total, last = 0, b""
    with open(path, "rb") as file:
        while chunk := file.read(1 << 24):
            total += chunk.count(b"\n")
            last = (last + chunk)[-300:]
    return total, last.rstrip(b"\n").rpartition(b"\n")[2]


def one_run(name: str, command: list[str], path: str, lines: int) -> float:
    """Million lines a second; ends the program if any line is missing."""
    # quill tells on stderr whenever its queue grows.
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    if done.returncode:
        sys.exit(f"{name}: exit code {done.returncode}\n{done.stderr}")
    seconds = float(done.stdout.split()[-1])
    counted, last = lines_in(path)
    os.unlink(path)
    # One more: the record that made the thread's queue.
    if counted != lines + 1:
        sys.exit(f"{name}: {counted} lines in the file, {lines + 1} were logged")
    rate = lines / seconds / 1e6
    print(
        f"{name:6} {rate:6.2f} million lines a second, {counted:,} in the file, the last: {last.decode()}", flush=True
    )
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
        rates: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(options.rounds):
            for name in sorted(commands, reverse=number % 2 == 1):
                rates[name].append(one_run(name, commands[name], path, options.lines))
    print("\n| million lines a second | median | least | most |\n| --- | ---: | ---: | ---: |")
    for name, values in rates.items():
        print(f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f} |")
    ratios = [a / b for a, b in zip(rates["logly"], rates["quill"], strict=True)]
    print(f"\nlogly / quill, median of the rounds: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
