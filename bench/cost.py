"""What does one log call cost the thread that makes it?

    python bench/cost.py args --peer logly_async --peer stdlib_file
    python bench/cost.py layout

The first argument says which call. Some are measured with every library, by pyperf, each in a worker process of its
own (pyperf's options apply). The others compare statements of logly in turns, with a floor or with and without a
feature. `--help` after the first argument lists the options.
"""

import ast
import sys

from harness import BENCH, comparison, per_call
from harness.scenarios import SCENARIOS


def usage() -> str:
    width = max(map(len, [*SCENARIOS, *comparison.names()])) + 2
    questions = {name: scenario.question for name, scenario in SCENARIOS.items()}
    # Read, not imported: a comparison may need a library that is not there.
    compared = {
        name: (ast.get_docstring(ast.parse((BENCH / "comparisons" / f"{name}.py").read_text())) or "").splitlines()[0]
        for name in comparison.names()
    }
    rows = ["with every library:", *(f"  {name:{width}}{text}" for name, text in questions.items())]
    rows += ["in turns:", *(f"  {name:{width}}{text}" for name, text in compared.items())]
    return "usage: cost.py SCENARIO [options]\n\n" + (__doc__ or "") + "\n" + "\n".join(rows)


def main() -> None:
    scenario = sys.argv[1] if len(sys.argv) > 1 else ""
    if scenario in SCENARIOS:
        per_call.main(sys.argv[0], scenario, sys.argv[2:])
    elif scenario in comparison.names():
        comparison.main(scenario, sys.argv[2:])
    elif scenario in ("-h", "--help"):
        print(usage())
    else:
        sys.exit(usage())


if __name__ == "__main__":
    main()
