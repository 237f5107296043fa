"""A shipper for real: rsyslog follows a rotating JSON file, reads a pipe and listens on a socket; every record arrives.

Where the machine has no rsyslogd, the packages of Debian or Ubuntu are downloaded and unpacked once (`rsyslog.py`).
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logly import Logger, SinkConfig
from tests.support import rsyslog
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="rsyslog's packages are for Linux"),
    pytest.mark.timeout(600),
]

# imklog reads a pipe where its logPath names one: it was made for /proc/kmsg.
CONFIGURATION = """
module(load="imfile" mode="inotify")
module(load="imptcp")
module(load="imklog" logPath="{folder}/pipe" permitNonKernelFacility="on")
global(workDirectory="{folder}")
template(name="line" type="string" string="%rawmsg%\\n")
ruleset(name="arrived") {{ action(type="omfile" file="{folder}/arrived" template="line") }}
input(type="imfile" file="{folder}/app*.json" tag="app" ruleset="arrived")
input(type="imptcp" path="{folder}/socket" ruleset="arrived")
if $rawmsg startswith "{{" then call arrived
"""

Shipper = Callable[[], list[int]]


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[int]:
    """A descriptor of a named pipe; it is open for reading too, so that the pipe exists while the daemon starts."""
    os.mkfifo(tmp_path / "pipe")
    fd = os.open(tmp_path / "pipe", os.O_RDWR)
    yield fd
    os.close(fd)


@pytest.fixture
def shipper(tmp_path: Path, rsyslogd: rsyslog.Rsyslog, pipe: int) -> Iterator[Shipper]:
    """rsyslogd in a folder of its own; what it returns reads the numbers of the records that have arrived."""
    configuration = tmp_path / "rsyslog.conf"
    configuration.write_text(CONFIGURATION.format(folder=tmp_path))
    errors = tmp_path / "errors"
    command = rsyslogd.command(configuration, tmp_path / "pid")
    with errors.open("wb") as output:
        process = subprocess.Popen(command, env=rsyslogd.environment(), stdout=output, stderr=output)
    arrived = tmp_path / "arrived"

    def numbers() -> list[int]:
        assert process.poll() is None, errors.read_text()
        lines = arrived.read_text().split("\n")[:-1] if arrived.exists() else []
        return [json.loads(line)["number"] for line in lines]

    try:
        wait_until(lambda: (tmp_path / "socket").exists() or process.poll() is not None, "rsyslogd to start")
        yield numbers
    finally:
        process.terminate()
        process.wait(60)


def wait_for(shipper: Shipper, count: int) -> None:
    wait_until(lambda: len(set(shipper())) >= count, f"{count} records to arrive")


def test_every_record_of_a_rotating_file_arrives(tmp_path: Path, shipper: Shipper) -> None:
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


def test_every_record_sent_through_a_pipe_arrives_once(pipe: int, shipper: Shipper) -> None:
    with Logger() as logger:
        logger.add_sink(SinkConfig(fd=pipe, json=True))
        for number in range(5000):
            more = {"long": "y" * 6000} if number % 500 == 0 else {}  # longer than a piece of 4096 bytes
            logger.info("order {} filled", number, number=number, text='<3> "quoted"\nand broken ✓', **more)
        assert logger.flush()
        wait_for(shipper, 5000)
        assert shipper() == list(range(5000))


def test_every_record_sent_to_a_socket_arrives_once(tmp_path: Path, shipper: Shipper) -> None:
    with socket.socket(socket.AF_UNIX) as connection, Logger() as logger:
        address = str(tmp_path / "socket")
        wait_until(lambda: connection.connect_ex(address) == 0, "rsyslogd to listen")  # it is made before that
        logger.add_sink(SinkConfig(fd=connection.fileno(), json=True))
        for number in range(5000):
            logger.info("order {} filled", number, number=number)
        assert logger.flush()
        wait_for(shipper, 5000)
        assert shipper() == list(range(5000))
