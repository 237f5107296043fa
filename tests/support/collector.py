"""rotel, an OpenTelemetry collector, run for real: its binary is in the package of that name."""

from __future__ import annotations

import importlib.util
import re
import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.waiting import PATIENCE_S, wait_until

if TYPE_CHECKING:
    from typing import Self


def agent() -> Path | None:
    """The collector's binary; None: it is not installed, or does not run here."""
    found = importlib.util.find_spec("rotel")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / "rotel-agent"
    try:
        subprocess.run([path, "--version"], capture_output=True, check=True, timeout=PATIENCE_S)
    except (OSError, subprocess.SubprocessError):
        return None
    return path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Collector:
    """A collector that writes each record that it gets into a file; a context manager.

    Args:
        path: the file. A collector that is started again adds to it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [
            agent(), "start", "--otlp-http-endpoint", f"127.0.0.1:{self.port}",
            "--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}",
            "--debug-log", "logs", "--debug-log-verbosity", "detailed", "--exporter", "blackhole",
        ]  # fmt: skip
        with self.path.open("ab") as out:
            self._process = subprocess.Popen(map(str, command), stdout=out, stderr=out)
        wait_until(self._listens, "the collector")

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Ends it. After SIGTERM it writes what it has taken; after SIGKILL it does not."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE_S)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def bodies(self) -> list[str]:
        """The messages of all records so far."""
        return re.findall(r"^Body: Str\((.*)\)$", self.path.read_text(), re.MULTILINE)

    @property
    def records(self) -> list[str]:
        """All that it says about each record."""
        return re.split(r"^LogRecord #\d+\n", self.path.read_text(), flags=re.MULTILINE)[1:]
