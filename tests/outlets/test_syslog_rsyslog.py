"""rsyslogd for real, over each of its sockets: it parses every field and gets every record once, also if restarted.

The numbers are small here; at night 100,000 records go over each socket.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from logly import Logger, SinkConfig
from tests.support import ROOT
from tests.support.loggers import assert_books, make_logger
from tests.support.pages import write_files
from tests.support.syslogd import Daemon, make_certificates
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.rsyslog import Rsyslog

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="rsyslog's packages are for Linux"),
    pytest.mark.timeout(600),
]

KINDS = ["unix", "udp", "tcp", "tls"]
MANY = pytest.param(100_000, marks=pytest.mark.nightly)


@pytest.fixture(params=KINDS)
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Daemon]:
    """rsyslogd; `daemon.kind` is the socket that the test is about."""
    has_tls = request.param == "tls"
    program: Rsyslog = request.getfixturevalue("rsyslogd_with_tls" if has_tls else "rsyslogd")
    with Daemon(program, tmp_path, has_tls=has_tls) as running:
        running.kind = request.param
        yield running


def syslog(logger: Logger, daemon: Daemon, **fields: Any) -> int:
    addresses = {
        "unix": f"unix:{daemon.local}",
        "udp": f"udp://127.0.0.1:{daemon.udp}",
        "tcp": f"tcp://localhost:{daemon.tcp}",
        "tls": f"tls://localhost:{daemon.tls}",
    }
    tls = daemon.folder / "ca.pem" if daemon.kind == "tls" else None
    return logger.add_sink(SinkConfig.syslog(addresses[daemon.kind], tls=tls, format="rfc5424", **fields))


def log_numbered(logger: Logger, numbers: range) -> None:
    """Logs so that no backlog is ever full."""
    for number in numbers:
        logger.info("message {}", number)
        if number % 10_000 == 9_999:
            assert logger.flush(60)


def numbers_of(daemon: Daemon) -> Counter[int]:
    return Counter(int(message.text.removeprefix("message ")) for message in daemon.messages())


HOSTILE = [
    "",
    " leading and trailing ",
    "two\nlines\r\nand\ttabs",
    "\x00\x01\x1b[31mred\x7f",
    'quotes " and \\ and ] and [x y="z"]',
    "<13>1 2026-01-01T00:00:00Z forged app - - - text",
    "12 octets",
    "\ufeffmark",
    "é→😀\u2028\u2029\x85",
    "%s %n {} {0.a}",
    "#012 #000",
    "x" * 20_000,
]


def test_it_parses_every_field_of_hostile_records(daemon: Daemon) -> None:
    with make_logger() as logger:
        syslog(logger.named("shop.orders"), daemon, facility="local3", app_name="shöp x" * 20, sd_id="shop@32473")
        named = logger.named("shop.orders")
        for text in HOSTILE:
            named.warning("{}", text, value=text, count=3, level="mine", **{"a b=c": text})
        assert logger.flush(60)
    daemon.await_messages(len(HOSTILE))
    messages = daemon.messages()
    assert len(messages) == len(HOSTILE)
    for message, text in zip(messages, HOSTILE, strict=True):
        assert (message.facility, message.severity) == (19, 4)
        assert message.host == os.uname().nodename
        assert message.program == ("sh_p_x" * 20)[:48]
        assert (message.process, message.msgid) == (str(os.getpid()), "shop.orders")
        [(element, params)] = message.data.items()
        found = dict(params)
        assert element == "shop@32473"
        assert (found["level"], found["level_"], found["count"]) == ("WARNING", "mine", "3")
        assert found["function"] == "test_it_parses_every_field_of_hostile_records"
        assert found["value"] == found["a_b_c"] == visible(text)
        assert message.text == visible(text)


def visible(text: str) -> str:
    return "".join(shown(character) for character in text)


def shown(character: str) -> str:
    code = ord(character)
    if character in "\t\n" or (0x20 <= code < 0x7F) or (code > 0x9F and character not in "\u2028\u2029"):
        return character
    return "\\r" if character == "\r" else f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def test_what_a_local_socket_gets_by_default_is_read_without_any_setting(rsyslogd: Rsyslog, tmp_path: Path) -> None:
    with Daemon(rsyslogd, tmp_path) as daemon, make_logger() as logger:
        wait_until(daemon.plain.exists, "the socket")
        logger.add_sink(SinkConfig.syslog(f"unix:{daemon.plain}", facility="local3", app_name="shop"))
        for text in HOSTILE[1:]:
            logger.warning("{}", text, price=3.5)
        assert logger.flush(60)
        daemon.await_messages(len(HOSTILE) - 1)
        for message, text in zip(daemon.messages(), HOSTILE[1:], strict=True):
            assert (message.facility, message.severity) == (19, 4)
            assert (message.host, message.program, message.process) == (os.uname().nodename, "shop", str(os.getpid()))
            assert message.text == " " + visible(text)


@pytest.mark.parametrize("count", [5_000, MANY])
def test_every_record_arrives_once(daemon: Daemon, count: int) -> None:
    with make_logger() as logger:
        syslog(logger, daemon)
        log_numbered(logger, range(count))
        assert logger.flush(60)
        daemon.await_messages(count)
        assert numbers_of(daemon) == Counter(range(count))
        assert_books(logger, count)


@pytest.mark.parametrize("count", [4_000, MANY])
def test_a_restart_loses_no_more_than_the_kernel_had(daemon: Daemon, count: int) -> None:
    with make_logger(on_error=lambda _: None) as logger:
        syslog(logger, daemon)
        quarter = count // 4
        log_numbered(logger, range(quarter))
        assert logger.flush(60)
        daemon.await_messages(quarter)
        log_numbered(logger, range(quarter, 2 * quarter))
        daemon.stop()
        log_numbered_without_flush(logger, range(2 * quarter, 3 * quarter))
        daemon.start()
        log_numbered_without_flush(logger, range(3 * quarter, count))
        assert logger.flush(120)
        assert_books(logger, count)
        found = numbers_of_arrived(daemon, count - 1)
        assert max(found.values()) == 1, "none twice"
        missing = set(range(count)) - set(found)
        # How many that can be, is up to the kernel: see docs/syslog.md.
        assert all(quarter <= number < 2 * quarter for number in missing), "only what was sent before the end"


def log_numbered_without_flush(logger: Logger, numbers: range) -> None:
    for number in numbers:
        logger.info("message {}", number)


def numbers_of_arrived(daemon: Daemon, last: int) -> Counter[int]:
    def has_last() -> bool:
        with (daemon.folder / "arrived").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4000))
            return b'"message %d"' % last in file.read()

    wait_until(has_last, "the last record")
    return numbers_of(daemon)


@pytest.mark.parametrize("name", ["logly.conf", "local.conf", "tls.conf"])
def test_the_configuration_of_the_page_is_valid(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """rsyslogd itself says so."""
    program: Rsyslog = request.getfixturevalue("rsyslogd_with_tls" if name == "tls.conf" else "rsyslogd")
    write_files(ROOT / "docs" / "syslog.md", tmp_path)
    if name == "tls.conf":
        make_certificates(tmp_path)
    text = (tmp_path / name).read_text().replace("/etc/rsyslog.d", str(tmp_path))
    (tmp_path / name).write_text(text + f'\naction(type="omfile" file="{tmp_path}/out")\n')
    command = [*program.command(tmp_path / name, tmp_path / "pid"), "-N1"]
    done = subprocess.run(command, env=program.environment(), capture_output=True, text=True, timeout=60, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "error" not in said.lower(), said
