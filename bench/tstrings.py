"""What a call with a template string costs, against the call with `{}` and arguments. Needs CPython 3.14.

    python bench/tstrings.py [--rounds N]

The template is made once, outside of the loop, because making it is CPython's work. The statements alternate burst by
burst, and the rows are medians over the rounds.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import tempfile
import time
from pathlib import Path

from logly import Logger, LoggerConfig, SinkConfig

BURST = 2_000
STATEMENTS = {
    "{} and arguments": 'logger.info("order {} filled at {:.2f}", oid, price)',
    "{name} and fields": 'logger.info("order {oid} filled at {price:.2f}", oid=oid, price=price)',
    "t-string": "logger.info(template)",
    "t-string, made at the call": 'logger.info(t"order {oid} filled at {price:.2f}")',
    "f-string": 'logger.info(f"order {oid} filled at {price:.2f}")',
}


def loops(logger: Logger) -> dict[str, object]:
    made = {}
    for name, statement in STATEMENTS.items():
        source = (
            "def run(logger, oid, price):\n"
            '    template = t"order {oid} filled at {price:.2f}"\n'
            f"    for _ in range({BURST}):\n        {statement}\n"
        )
        names: dict[str, object] = {}
        exec(compile(source, f"<{name}>", "exec"), names)
        made[name] = names["run"]
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    if sys.version_info < (3, 14):
        print("CPython 3.14 has template strings", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        logger = Logger(LoggerConfig(auto_sink=False, async_buffer_size=1 << 24))
        logger.add_sink(SinkConfig(path=Path(folder) / "log", format="{time} {level} {message}"))
        runs = loops(logger)
        times: dict[str, list[float]] = {name: [] for name in runs}
        gc.disable()
        for _ in range(options.rounds):
            for name, run in runs.items():
                begin = time.perf_counter_ns()
                run(logger, 42, 3.14159)  # type: ignore[operator]
                times[name].append((time.perf_counter_ns() - begin) / BURST)
                logger.flush()
        logger.close()
        lines = Path(folder, "log").read_text().count("order 42 filled at 3.14\n")
        assert lines == options.rounds * BURST * len(runs), lines
    base = statistics.median(times["{} and arguments"])
    print("| call | ns | against {} and arguments |\n| --- | ---: | ---: |")
    for name, all_ns in times.items():
        print(f"| {name} | {statistics.median(all_ns):.0f} | {statistics.median(all_ns) / base:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
