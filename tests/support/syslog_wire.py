"""Readers of what goes over the wire, written from the published formats, which refuse what these do not allow."""

from __future__ import annotations

import re
from dataclasses import dataclass

# RFC 5424, section 6: PRI VERSION SP TIMESTAMP SP HOSTNAME SP APP-NAME SP PROCID SP MSGID SP STRUCTURED-DATA [SP MSG]
HEADER = re.compile(
    rb"<(0|[1-9]\d{0,2})>([1-9]\d{0,2}) (-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)) "
    rb"([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) "
)
SD_NAME = re.compile(rb"(?:(?![=\]\"])[!-~]){1,32}")
BOM = b"\xef\xbb\xbf"


@dataclass
class SyslogMessage:
    """A message of syslog. `data`: the parameters of its elements, by id, in their order."""

    facility: int
    severity: int
    time: str
    host: str
    program: str
    process: str
    msgid: str
    data: dict[str, list[tuple[str, str]]]
    text: str
    has_bom: bool

    def params(self) -> dict[str, str]:
        """Those of its one element, whose names differ."""
        [params] = self.data.values()
        assert len(dict(params)) == len(params)
        return dict(params)


def parse_syslog(message: bytes) -> SyslogMessage:
    """Raises AssertionError for what RFC 5424 does not allow."""
    head = HEADER.match(message)
    assert head is not None, message[:200]
    priority = int(head[1])
    assert priority <= 191
    assert head[2] == b"1"
    data, rest = parse_elements(message[head.end() :])
    assert not rest or rest.startswith(b" ")
    text, has_bom = rest[1:], rest[1:4] == BOM
    host, program, process, msgid = (part.decode() for part in head.groups()[3:])
    shown = text.removeprefix(BOM).decode()
    return SyslogMessage(
        priority >> 3, priority & 7, head[3].decode(), host, program, process, msgid, data, shown, has_bom
    )


def parse_elements(rest: bytes) -> tuple[dict[str, list[tuple[str, str]]], bytes]:
    if rest.startswith(b"-"):
        return {}, rest[1:]
    found: dict[str, list[tuple[str, str]]] = {}
    while rest.startswith(b"["):
        name = SD_NAME.match(rest, 1)
        assert name is not None
        assert name[0].decode() not in found
        params, rest = parse_params(rest[name.end() :])
        found[name[0].decode()] = params
    assert found
    return found, rest


def parse_params(rest: bytes) -> tuple[list[tuple[str, str]], bytes]:
    found = []
    while not rest.startswith(b"]"):
        name = SD_NAME.match(rest, 1)
        assert rest.startswith(b" ")
        assert name is not None, rest[:80]
        at = name.end()
        assert rest[at : at + 2] == b'="'
        value = bytearray()
        at += 2
        while rest[at] != ord('"'):
            assert rest[at] != ord("]"), "a bracket without a backslash"
            if rest[at] == ord("\\") and rest[at + 1] in b'"\\]':
                at += 1
            value.append(rest[at])
            at += 1
        found.append((name[0].decode(), value.decode()))
        rest = rest[at + 1 :]
    return found, rest[1:]


def parse_frames(data: bytes) -> list[bytes]:
    """The messages of a stream with octet counting (RFC 6587, section 3.4.1); the last one must be whole."""
    found, at = [], 0
    while at < len(data):
        length = re.compile(rb"([1-9]\d*) ").match(data, at)
        assert length is not None, data[at : at + 40]
        at = length.end() + int(length[1])
        assert at <= len(data), "a frame is cut"
        found.append(data[length.end() : at])
    return found


JOURNAL_NAME = re.compile(rb"[A-Z][A-Z0-9_]{0,63}")


def parse_journal(message: bytes) -> list[tuple[str, bytes]]:
    """The fields of a message of systemd's journal (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/)."""
    found, at = [], 0
    while at < len(message):
        name = JOURNAL_NAME.match(message, at)
        assert name is not None, message[at : at + 80]
        at = name.end()
        if message[at : at + 1] == b"=":
            end = message.index(b"\n", at)
            value = message[at + 1 : end]
        else:
            assert message[at : at + 1] == b"\n"
            size = int.from_bytes(message[at + 1 : at + 9], "little")
            end = at + 9 + size
            value = message[at + 9 : end]
            assert len(value) == size
            assert message[end : end + 1] == b"\n"
        found.append((name[0].decode(), value))
        at = end + 1
    return found
