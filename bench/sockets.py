"""What do sinks with a socket take, beside a file? Lines a second, processor time, and what a program beside it gets.

    python bench/sockets.py

Loggers take turns, run by run: one writes a file in the same layout, and one for each kind of socket sends to a
receiver in a process of its own, which reads and throws away. A line counts when the kernel has taken it: over TCP and
TLS the receiver's kernel. UDP is slowed down on purpose, because nothing else spares its receivers. What a call costs
its caller does not depend on where the lines go: `python bench/cost.py batches`.
"""

from __future__ import annotations

import argparse
import socket
import ssl
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from typing import Any

from harness import sink_speed, tables
from harness.loops import compile_loop
from harness.scenarios import BRACE
from harness.workers import serve

KINDS = ("file", "file, journald", "unix", "journald", "udp", "tcp", "tls")
RING = 1 << 28

RECEIVER = """
import socket, ssl, sys
kind, folder = sys.argv[1:]
if kind in ("unix", "journald"):
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(folder + "/socket")
elif kind == "udp":
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
else:
    listener = socket.create_server(("127.0.0.1", 0))
print(0 if kind in ("unix", "journald") else (receiver if kind == "udp" else listener).getsockname()[1], flush=True)
if kind in ("tcp", "tls"):
    receiver, _ = listener.accept()
    if kind == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder + "/server.pem", folder + "/server.key")
        receiver = context.wrap_socket(receiver, server_side=True)
room = bytearray(1 << 18)
while receiver.recv_into(room) or kind not in ("tcp", "tls"):
    pass
"""


def make_certificate(folder: str) -> None:
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-keyout", f"{folder}/server.key", "-out", f"{folder}/server.pem"]
    subprocess.run([*command.split(), *names], check=True, capture_output=True, timeout=60)


def make_sink(kind: str, folder: str, stack: ExitStack) -> Any:
    """The sink's settings; its receiver runs until the stack is left."""
    from logly import SinkConfig

    if kind.startswith("file"):
        return SinkConfig(path=f"{folder}/bench.log", format="journald" if "journald" in kind else "rfc5424")
    context = None
    if kind == "tls":
        make_certificate(folder)
        context = ssl.create_default_context(cafile=f"{folder}/server.pem")
    receiver = subprocess.Popen([sys.executable, "-c", RECEIVER, kind, folder], stdout=subprocess.PIPE, text=True)
    stack.callback(receiver.wait)
    stack.callback(receiver.kill)
    assert receiver.stdout is not None
    port = int(receiver.stdout.readline())
    address = f"{kind}://localhost:{port}" if port else f"unix:{folder}/socket"
    if kind == "udp":
        address = address.replace("localhost", socket.inet_ntoa(b"\x7f\0\0\1"))
    if kind == "journald":
        made = SinkConfig.journald(address)
    else:
        made = SinkConfig.syslog(address, tls=context, format="rfc5424")
    made.batch_backlog = "4 GiB"
    return made


def measure(kind: str, options: argparse.Namespace) -> dict[str, float]:
    from logly import Logger, LoggerConfig

    with tempfile.TemporaryDirectory(dir=options.dir) as folder, ExitStack() as stack:
        config = LoggerConfig(auto_sink=False, async_buffer_size=RING, async_flush_interval=60_000)
        logger = Logger(config)
        sink = logger.add_sink(make_sink(kind, folder, stack))
        measured = sink_speed.measure(logger, sink, compile_loop(BRACE["args"], logger), options.lines, 1000)
        stats = logger.sink_stats(sink)
        assert (stats.failed, stats.written) == (0, 2 * options.lines + 1004), stats
        logger.close(10)
    return measured


def main() -> None:
    options = sink_speed.parser(__doc__, KINDS, lines=200_000, rounds=7).parse_args()
    if options.worker:
        serve(lambda _: measure(options.worker, options))
    else:
        sink_speed.compare("sockets.py", KINDS, options)
        tables.write(options.json)


if __name__ == "__main__":
    main()
