"""An rsyslogd that listens on a local socket, UDP, TCP and TLS, and writes down what it has parsed."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from tests.support.ports import free_port
from tests.support.syslog_wire import parse_elements
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.rsyslog import Rsyslog

# What docs/syslog.md recommends, and a template with each property that the parser has found.
CONFIGURATION = """
global(
    workDirectory="{folder}" maxMessageSize="256k" parser.escapeControlCharactersOnReceive="off" net.enableDNS="off"
    parser.dropTrailingLFOnReception="off" {tls}
)
module(load="imuxsock" SysSock.Use="off")
module(load="imudp")
module(load="imtcp" MaxSessions="20")
template(name="parsed" type="list" option.json="off") {{
    constant(value="{{")
    property(outname="pri" name="pri" format="jsonf") constant(value=",")
    property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf") constant(value=",")
    property(outname="host" name="hostname" format="jsonf") constant(value=",")
    property(outname="program" name="app-name" format="jsonf") constant(value=",")
    property(outname="process" name="procid" format="jsonf") constant(value=",")
    property(outname="msgid" name="msgid" format="jsonf") constant(value=",")
    property(outname="data" name="structured-data" format="jsonf") constant(value=",")
    property(outname="text" name="msg" format="jsonf")
    constant(value="}}\\n")
}}
ruleset(name="arrived" queue.type="Direct") {{
    action(type="omfile" file="{folder}/arrived" template="parsed" asyncWriting="off" flushOnTXEnd="on")
}}
input(type="imuxsock" socket="{folder}/log" useSpecialParser="off" parseHostname="on" ruleset="arrived"
      rateLimit.interval="0" ignoreTimestamp="off")
input(type="imuxsock" socket="{folder}/plain" ruleset="arrived" rateLimit.interval="0")
input(type="imudp" address="127.0.0.1" port="{udp}" ruleset="arrived" rcvbufSize="16m")
input(type="imtcp" address="127.0.0.1" port="{tcp}" ruleset="arrived" streamDriver.mode="0" streamDriver.name="ptcp"
      streamDriver.authMode="anon")
{tls_input}
"""
TLS = """
    defaultNetstreamDriverCAFile="{folder}/ca.pem" defaultNetstreamDriverCertFile="{folder}/server.pem"
    defaultNetstreamDriverKeyFile="{folder}/server.key"
"""
TLS_INPUT = """
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="arrived" streamDriver.name="gtls" streamDriver.mode="1"
      streamDriver.authMode="anon")
"""


@dataclass
class Arrived:
    """A message as rsyslogd has parsed it. `data`: parameters of the structured data, by id."""

    facility: int
    severity: int
    host: str
    program: str
    process: str
    msgid: str
    data: dict[str, list[tuple[str, str]]]
    text: str


def make_certificates(folder: Path) -> None:
    """A certificate authority, ca.pem, and a certificate of its for localhost, server.pem."""
    key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    commands = [
        f"req -x509 {key} -days 2 -subj /CN=authority -keyout ca.key -out ca.pem",
        f"req {key} -subj /CN=localhost -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem",
    ]
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    # The tests of a wheel have no path but that of their environment.
    program = shutil.which("openssl", path=f"{os.environ.get('PATH', '')}{os.pathsep}{os.defpath}")
    if program is None:
        pytest.skip("needs openssl")
    for command in commands:
        subprocess.run([program, *command.split()], cwd=folder, check=True, capture_output=True, timeout=60)


class Daemon:
    """rsyslogd in a folder. A context manager.

    Args:
        rsyslogd: the program.
        folder: for its configuration and for what arrives.
        has_tls: it listens for TLS, too.
    """

    def __init__(self, rsyslogd: Rsyslog, folder: Path, *, has_tls: bool = False) -> None:
        self.folder = folder
        self.rsyslogd = rsyslogd
        self.udp, self.tcp, self.tls = free_port(socket.SOCK_DGRAM), free_port(), free_port()
        if has_tls:
            make_certificates(folder)
        self.has_tls = has_tls
        self.local = folder / "log"
        self.plain = folder / "plain"
        """A local socket as rsyslog opens it by default."""
        text = CONFIGURATION.format(
            folder=folder,
            udp=self.udp,
            tcp=self.tcp,
            tls=TLS.format(folder=folder) if has_tls else "",
            tls_input=TLS_INPUT.format(port=self.tls) if has_tls else "",
        )
        (folder / "rsyslog.conf").write_text(text)
        self.process: subprocess.Popen[bytes] | None = None
        self.kind = ""

    def start(self) -> None:
        command = self.rsyslogd.command(self.folder / "rsyslog.conf", self.folder / "pid")
        with (self.folder / "errors").open("ab") as output:
            self.process = subprocess.Popen(
                command, env=self.rsyslogd.environment(), stdout=output, stderr=output, cwd=self.folder
            )
        process = self.process
        wait_until(lambda: self.is_listening() or process.poll() is not None, "rsyslogd to listen")
        assert process.poll() is None, (self.folder / "errors").read_text()

    def is_listening(self) -> bool:
        for port in (self.tcp, *([self.tls] if self.has_tls else [])):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
            except OSError:
                return False
        return self.local.exists()

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    def count(self) -> int:
        """How many messages have arrived."""
        arrived = self.folder / "arrived"
        return arrived.read_bytes().count(b"\n") if arrived.exists() else 0

    def await_messages(self, count: int) -> None:
        wait_until(lambda: self.count() >= count, f"{count} messages to arrive")

    def messages(self) -> list[Arrived]:
        lines = (self.folder / "arrived").read_bytes().splitlines()
        return [parsed(json.loads(line)) for line in lines]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def parsed(item: dict[str, Any]) -> Arrived:
    data, rest = parse_elements(item["data"].encode())
    assert rest == b""
    priority = int(item["pri"])
    return Arrived(
        priority >> 3,
        priority & 7,
        item["host"],
        item["program"],
        item["process"],
        item["msgid"],
        data,
        item["text"],
    )
