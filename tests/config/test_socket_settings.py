"""The settings of sinks with a socket: addresses, what fits together, and the short forms."""

from __future__ import annotations

import dataclasses
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest

from logly import ConfigError, SinkConfig
from logly.config.socket_address import parse_socket


@pytest.mark.parametrize(
    ("text", "kind", "host", "port", "shown"),
    [
        ("unix:/dev/log", "unix", "/dev/log", 0, "unix:/dev/log"),
        ("unix:///dev/log", "unix", "/dev/log", 0, "unix:/dev/log"),
        ("unix:@name", "unix", "@name", 0, "unix:@name"),
        ("udp://localhost", "udp", "localhost", 514, "udp://localhost:514"),
        ("TCP://10.0.0.1", "tcp", "10.0.0.1", 601, "tcp://10.0.0.1:601"),
        ("tls://logs.example.com:7000/", "tls", "logs.example.com", 7000, "tls://logs.example.com:7000"),
        ("tls://[::1]", "tls", "::1", 6514, "tls://[::1]:6514"),
        ("udp://localhost:1", "udp", "localhost", 1, "udp://localhost:1"),
        ("udp://[fe80::1%eth0]:65535", "udp", "fe80::1%eth0", 65535, "udp://[fe80::1%eth0]:65535"),
    ],
)
def test_addresses(text: str, kind: str, host: str, port: int, shown: str) -> None:
    address = parse_socket(text)
    assert (address.kind, address.host, address.port, str(address)) == (kind, host, port, shown)
    assert str(parse_socket(shown)) == shown


@pytest.mark.parametrize(
    "value",
    [
        "",
        "localhost:514",
        "http://localhost",
        "udp://",
        "udp://:514",
        "udp://host:0",
        "udp://host:65536",
        "udp://host:5x",
        "udp://host:\N{SUPERSCRIPT TWO}",
        "udp://host:-1",
        "udp://a b",
        "udp://user@host",
        "udp://host/path",
        "udp://[::1",
        "udp://[::1]x",
        "udp://::1",
        "unix:",
        "unix:log",
        "unix:@",
        "unix:/" + "x" * 107,
        "unix:/a\0b",
        "unix:/\udc80",
        5,
        ("localhost", 514),
    ],
)
def test_what_is_no_address_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match="unix:") as caught:
        SinkConfig(socket=value).validate()
    assert caught.value.field == "socket"


@pytest.mark.parametrize(
    ("fields", "named", "said"),
    [
        ({"socket": "udp://a", "path": "x"}, "socket", "path and socket are set"),
        ({"socket": "udp://a", "batch": print}, "socket", "batch and socket are set"),
        ({"socket": "udp://a", "rotation": "daily"}, "rotation", "needs a file"),
        ({"socket": "udp://a", "format": "{message}"}, "format", "use 'rfc5424' or 'journald'"),
        ({"socket": "udp://a", "format": "otlp"}, "format", "use 'rfc5424' or 'journald'"),
        ({"socket": "udp://a", "json": True}, "format", "use 'rfc5424' or 'journald'"),
        ({"socket": "udp://a", "format": "rfc3164"}, "format", "it names no host; use 'rfc5424'"),
        ({"socket": "unix:/dev/log", "bom": True}, "bom", "is for format = 'rfc5424'"),
        ({"socket": "tcp://a", "format": "journald"}, "format", "the journal listens on unix:PATH"),
        ({"socket": "udp://a", "async_write": False}, "async_write", "cannot be used with socket"),
        ({"socket": "tcp://a", "tls": "ca.pem"}, "tls", "use 'tls://HOST:PORT'"),
        ({"tls": "ca.pem"}, "tls", "needs a socket"),
        ({"socket": "tls://a", "tls": 5}, "tls", "name of a file"),
        ({"socket": "tls://a", "batch_bytes": 2000, "batch_backlog": 1000}, "batch_backlog", "is below batch_bytes"),
    ],
)
def test_what_does_not_fit_together_is_refused(fields: dict[str, Any], named: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        SinkConfig(**fields).validate()
    assert caught.value.field == named


def test_datagrams_are_refused_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    for socket in ("udp://a", "unix:/dev/log"):
        with pytest.raises(ConfigError, match="not available on Windows"):
            SinkConfig(socket=socket).validate()
    SinkConfig(socket="tcp://a").validate()


def test_a_socket_has_the_layout_that_listens_there() -> None:
    assert SinkConfig(socket="udp://a").resolved().format == "rfc5424"
    assert SinkConfig(socket="unix:/dev/log").resolved().format == "rfc3164"
    assert SinkConfig(socket="unix:/run/systemd/journal/socket").resolved().format == "journald"
    assert SinkConfig(socket="unix:/run/systemd/journal.shop/socket").resolved().format == "journald"
    assert SinkConfig(socket="unix:/run/systemd/journal/socket", format="rfc5424").resolved().format == "rfc5424"


def test_the_short_forms() -> None:
    local = {"linux": "/dev/log", "darwin": "/var/run/syslog"}.get(sys.platform)
    syslog = SinkConfig.syslog(facility="local0")
    assert (syslog.format, syslog.facility) == ("rfc3164", "local0")
    assert SinkConfig.syslog("udp://a").format == "rfc5424"
    assert SinkConfig.syslog(format="rfc5424", sd_id="shop@32473").resolved().format == "rfc5424"
    assert local is None or syslog.socket == f"unix:{local}"
    context = ssl.create_default_context()
    assert SinkConfig.syslog("tls://a", tls=context).resolved().tls is context
    assert SinkConfig.syslog("tls://a", tls=Path("ca.pem")).resolved().tls == "ca.pem"
    journal = SinkConfig.journald(app_name="shop", level="warning")
    assert (journal.socket, journal.format) == ("unix:/run/systemd/journal/socket", "journald")
    assert (journal.app_name, journal.level) == ("shop", "warning")
    assert type(journal) is SinkConfig
    with pytest.raises(TypeError, match="no field 'app_nom'"):
        SinkConfig.journald(app_nom="shop")


def take(_lines: bytes, _count: int) -> None:
    """A batch function."""


@pytest.mark.parametrize(
    "fields",
    [
        {"socket": "unix:/dev/log"},
        {"socket": "unix:/run/systemd/journal/socket", "facility": "daemon", "app_name": "shop"},
        {"socket": "udp://a", "facility": "local3", "app_name": "shop", "sd_id": "a@1", "bom": True},
        {"socket": "tls://a:99", "tls": Path("ca.pem"), "batch_backlog": "2 MiB"},
        {"socket": "tls://a", "tls": ssl.create_default_context()},
        {"batch": take, "batch_bytes": "64 KiB", "batch_backlog": "1 MiB", "flush_interval": 5},
        {"batch": take, "format": "OTLP", "json_static": {"service.name": "shop"}},
        {"batch": take, "format": "json", "json_time": "epoch_ns", "json": True},
        {"path": "a", "format": "rfc5424", "facility": 3},
        {"path": "a", "format": "Journald", "level": "warning"},
        {"path": "a", "json": True},
    ],
)
def test_resolved_settings_are_settings(fields: dict[str, Any]) -> None:
    plain = SinkConfig(**fields).resolved()
    assert plain.resolved() == plain
    assert plain.copy().resolved() == plain
    assert dataclasses.replace(plain).resolved() == plain
    changed = dataclasses.replace(plain, date_enabled=False)
    assert changed.resolved() == changed
