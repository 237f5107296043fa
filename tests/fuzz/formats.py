"""The format renderer: whatever specification, template and values, the text is what the rules of messages say."""

from __future__ import annotations

import math
import os
import re
import struct
from pathlib import Path
from random import Random

import tests.probe.text as probe
from logly import Logger, LoggerConfig, SinkConfig
from tests.support.message_model import expected

from .specifications import some_specification
from .target import Target, mutated, some_character

SPECIFICATIONS_PER_CASE = 25
MESSAGES_PER_CASE = 8
TEMPLATES = (
    "order {} filled at {:.2f}", "{0} {1} {0}", "{} {user}", "{user!r:>20} {}", "{{}} {}", "{!s:^9}|{!a}|{!r}", "{:{}}",
    "{user:{user}}", "{user.real} {user}",
    "{.real} {[0]}", "{:>5}{:<5}{:^5}", "no placeholder", "{", "}", "{0} {}", "{user.name}", "{:x}{:#b}{:,}{:e}{:%}",
)  # fmt: skip
KINDS = {
    type(None): probe.KIND_NONE,
    bool: probe.KIND_BOOL,
    int: probe.KIND_INT,
    float: probe.KIND_FLOAT,
    str: probe.KIND_STR,
    bytes: probe.KIND_BYTES,
}
# A width or precision of more digits than this takes Python itself gigabytes and minutes.
LONG_NUMBER = re.compile(r"\d{5}")


def visible(text: str) -> bytes:
    """As it stands in any output: lone surrogates are escaped."""
    return text.encode("utf-8", "backslashreplace")


def some_value(chance: Random) -> object:
    what = chance.randrange(12)
    if what == 0:
        return chance.choice((None, True, False, b"", bytes(range(chance.randrange(256)))))
    if what <= 3:
        bits = chance.randrange(66)
        return chance.choice((1, -1)) * (chance.getrandbits(bits) if chance.random() < 0.7 else (1 << bits) - 1)
    if what == 4:
        return 10 ** chance.randrange(20) + chance.randrange(-1, 2)
    if what == 5:
        return struct.unpack("<d", chance.randbytes(8))[0]
    if what <= 7:
        return chance.randrange(-(10**16), 10**16) / 10 ** chance.randrange(21)
    if what == 8:
        edge = chance.choice((0.0, -0.0, math.inf, math.nan, 5e-324, 1.7976931348623157e308, 1e16, 0.5, 2.5))
        return math.copysign(edge, chance.choice((1, -1)))
    return "".join(some_character(chance) for _ in range(chance.choice((0, 1, 3, 12, 70, 300))))


def some_template(chance: Random) -> str:
    if chance.random() < 0.4:
        parts = (chance.choice(("", " ", "x=", "{{", "}}", some_character(chance))) for _ in range(4))
        return "".join(
            part + "{" + chance.choice(("", "", "", "!r", "!s", "!a", "user")) + ":" + some_specification(chance) + "}"
            for part in parts
        )
    return mutated(chance, chance.choice(TEMPLATES), "{}:!<>^08.dfsrax" + some_character(chance), chance.randrange(5))


def check_specification(spec: str, value: object) -> None:
    encoded = spec.encode("utf-8", "surrogatepass")
    if not probe.accepts(encoded) & KINDS[type(value)]:
        return  # Python formats it, at the call
    if value is None or isinstance(value, bytes):
        assert spec == "", (spec, value)
        return
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return
    wanted = visible(format(value, spec))  # what is accepted never raises
    assert probe.format_value(value, encoded) == wanted, (spec, value)
    if isinstance(value, str) and not re.search("[\ud800-\udfff]", value):
        assert probe.format_value(value, encoded, True) == wanted, (spec, value)


class Formats(Target):
    """Specifications through the probe, and whole messages through a logger."""

    def open(self, folder: Path) -> None:
        self.logger = Logger(LoggerConfig(on_error=lambda error: None, async_buffer_size=1 << 16))
        self.file = os.memfd_create("messages")
        self.seen = 0
        self.logger.add_sink(SinkConfig(fd=self.file, format="{message}", newlines="keep"))

    def case(self, chance: Random) -> None:
        for _ in range(SPECIFICATIONS_PER_CASE):
            spec = some_specification(chance)
            if not LONG_NUMBER.search(spec):
                check_specification(spec, some_value(chance))
        calls = []
        for _ in range(MESSAGES_PER_CASE):
            template = some_template(chance)
            args = [some_value(chance) for _ in range(chance.randrange(5))]
            fields = {"user": some_value(chance)} if chance.random() < 0.3 else {}
            calls.append((template, args, fields))
        self.check_messages(calls)

    def check_messages(self, calls: list[tuple[str, list[object], dict[str, object]]]) -> None:
        for template, args, fields in calls:
            self.logger.info(template, *args, **fields)
        assert self.logger.flush(30)
        end = os.fstat(self.file).st_size
        text = os.pread(self.file, end - self.seen, self.seen)
        self.seen = end
        for template, args, fields in calls:
            wanted = visible(expected(template, args, fields)[0]) + b"\n"
            assert text.startswith(wanted), (template, args, fields, text[: len(wanted) + 40])
            text = text[len(wanted) :]
        assert text == b""
        if end > 1 << 24:
            os.ftruncate(self.file, 0)
            self.seen = 0

    def close(self) -> None:
        self.logger.close()
        os.close(self.file)
