"""A shipper for real: rsyslog follows a rotating JSON file and listens on a socket, and every record arrives.

Needs rsyslogd on the path, or its Debian packages unpacked somewhere (no installation, no root):

    apt-get download rsyslog libestr0 libfastjson4
    for package in *.deb; do dpkg -x "$package" root; done
    LOGLY_RSYSLOG=$PWD/root pytest tests/test_shippers.py
"""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logly import Logger, SinkConfig

UNPACKED = os.environ.get("LOGLY_RSYSLOG")
LIBRARIES = [str(path) for path in Path(UNPACKED).glob("usr/lib/*-linux-gnu*")] if UNPACKED else []
DAEMON = f"{UNPACKED}/usr/sbin/rsyslogd" if UNPACKED else shutil.which("rsyslogd", path="/usr/sbin:/usr/bin:/sbin")
PATIENCE_S = 60.0

pytestmark = pytest.mark.skipif(DAEMON is None, reason="there is no rsyslogd here")

CONFIGURATION = """
module(load="imfile" mode="inotify")
module(load="imptcp")
global(workDirectory="{folder}")
template(name="line" type="string" string="%rawmsg%\\n")
ruleset(name="arrived") {{ action(type="omfile" file="{folder}/arrived" template="line") }}
input(type="imfile" file="{folder}/app*.json" tag="app" ruleset="arrived")
input(type="imptcp" path="{folder}/socket" ruleset="arrived")
"""


def wait_until(condition: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)


def wait_for(shipper: Callable[[], list[int]], count: int) -> None:
    wait_until(lambda: len(set(shipper())) >= count, lambda: f"{len(set(shipper()))} of {count} have arrived")


@pytest.fixture
def shipper(tmp_path: Path) -> Iterator[Callable[[], list[int]]]:
    """rsyslogd in a folder of its own; what it returns reads the numbers of the records that have arrived."""
    configuration = tmp_path / "rsyslog.conf"
    configuration.write_text(CONFIGURATION.format(folder=tmp_path))
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(LIBRARIES)}
    command = [str(DAEMON), "-n", "-f", str(configuration), "-i", str(tmp_path / "pid")]
    if LIBRARIES:
        command += ["-M", f"{LIBRARIES[0]}/rsyslog"]
    with (tmp_path / "errors").open("wb") as errors:
        daemon = subprocess.Popen(command, env=environment, stdout=errors, stderr=errors)
    arrived = tmp_path / "arrived"

    def numbers() -> list[int]:
        assert daemon.poll() is None, (tmp_path / "errors").read_text()
        lines = arrived.read_text().splitlines() if arrived.exists() else []
        return [json.loads(line)["number"] for line in lines]

    try:
        wait_until((tmp_path / "socket").exists, lambda: (tmp_path / "errors").read_text())
        yield numbers
    finally:
        daemon.terminate()
        daemon.wait(PATIENCE_S)


def test_every_record_of_a_rotating_file_arrives(tmp_path: Path, shipper: Callable[[], list[int]]) -> None:
    logger = Logger()
    logger.add_sink(SinkConfig(path=tmp_path / "app.json", json=True, size_limit="60 kB"))
    for end in range(300, 2401, 300):
        for number in range(end - 300, end):
            logger.info("order {} filled", number, number=number, text='"quoted"\nand broken ✓')
        assert logger.flush()
        wait_for(shipper, end)
    # At least once: rsyslog may read a file again under its new name.
    assert set(shipper()) == set(range(2400))
    files = sorted(tmp_path.glob("app*.json"))
    lines = [json.loads(line)["number"] for file in files for line in file.read_text().splitlines()]
    assert sorted(lines) == list(range(2400))
    assert logger.stats().rotations >= 4
    logger.close()


def test_every_record_sent_to_a_socket_arrives(tmp_path: Path, shipper: Callable[[], list[int]]) -> None:
    with socket.socket(socket.AF_UNIX) as connection, Logger() as logger:
        connection.connect(str(tmp_path / "socket"))
        logger.add_sink(SinkConfig(fd=connection.fileno(), json=True))
        for number in range(5000):
            logger.info("order {} filled", number, number=number)
        assert logger.flush()
        wait_for(shipper, 5000)
        assert shipper() == list(range(5000))
