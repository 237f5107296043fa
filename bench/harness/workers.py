"""A process that measures whenever it is told to, so that two processes can take turns within milliseconds."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self


class Worker:
    """Runs a command that ends in `serve(...)`. A `with` block ends it, and tells whether it ended well."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=None if environment is None else {**os.environ, **environment},
        )

    def ask(self, rounds: int) -> Any:
        """What the process measures in so many rounds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(f"{rounds}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            self.close()
        for line in self.process.stdout:
            # A library that prints to the console mixes its lines in.
            if line.startswith('{"'):
                return json.loads(line)
        return self.close()

    def close(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        if code := self.process.wait():
            raise SystemExit(f"a worker ended with exit code {code}: {' '.join(map(str, self.process.args))}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is None:
            self.close()
        else:
            self.process.kill()
            self.process.wait()


def serve(measure: Callable[[int], dict[str, Any]]) -> None:
    """Answers a number of rounds with what `measure` found, until the standard input ends."""
    for line in sys.stdin:
        print(json.dumps(measure(int(line))), flush=True)
