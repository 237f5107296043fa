"""The layout parser: any text is a layout that renders, or a ConfigError that tells a place inside the text."""

from __future__ import annotations

import os
import re
import threading
from _string import formatter_parser
from pathlib import Path
from random import Random

from logly import ConfigError, Logger, LoggerConfig, SinkConfig
from logly._core import KIND_INT, KIND_STR, PIECE_FIELD, PIECE_LITERAL, PIECE_TIME, PIECES, spec_kinds
from logly.layout.layout_template import NUMBERS, parse_layout

from .specifications import some_specification
from .target import Target, mutated, some_character

#: Stands for the time pattern that a layout does not give; no layout is made of it.
DEFAULT = "\0the default\0"
NAMES = (*PIECES, "symbol", "count", "größe", "nothing")
LAYOUTS = (
    "{time} | {level:<8} | {module}:{function}:{lineno} | {message}",
    "{time:YYYY-MM-DD HH:mm:ss.SSS} {level:.1} {message} {fields} {exception}",
    "{{{level}}} {nothing:>3}|{symbol:^9.3}|{count:08,}",
    "{time:[at {x}] dddd, DD MMMM A ZZ}|{thread}{thread_name}{process}{path}{filename}{name}",
    "{time:SSSSSSSSS}\n{message:>40}\t{lineno:#x}",
)
PATTERNS = (
    "YYYY", "YY", "MMMM", "MMM", "MM", "dddd", "ddd", "DD", "HH", "hh", "mm", "ss", "SSS", "SSSSSSSSS", "A", "a", "Z",
    "ZZ", "[", "]", "[x]", "{}", ".", "é",
)  # fmt: skip
ALPHABET = "{}{}::[]<>^=.0123456789sdx!,_ \n\0é😀\ud800YMDHmsSAZ"
LEVELS = ("DEBUG", "INFO", "ERROR")
FIELDS: tuple[dict[str, object], ...] = ({}, {"symbol": "ABCD", "count": 42}, {"größe": "µ", "count": 2.5})


def some_layout(chance: Random) -> str:
    if chance.random() < 0.5:
        return mutated(chance, chance.choice(LAYOUTS), ALPHABET, chance.randrange(6))
    parts = []
    for _ in range(chance.randrange(6)):
        what = chance.randrange(4)
        if what == 0:
            parts.append(chance.choice(("", " | ", "{{", "}}", "x" * 50, some_character(chance))))
        elif what == 1:
            pattern = "".join(chance.choice(PATTERNS) for _ in range(chance.randrange(5)))
            parts.append("{time:" + pattern + "}")
        else:
            spec = chance.choice(("", some_specification(chance)))
            parts.append("{" + chance.choice(NAMES) + (":" + spec if spec else "") + "}")
    return mutated(chance, "".join(parts), ALPHABET, chance.choice((0, 0, 1, 3)))


def as_str_format_sees_it(text: str) -> list[tuple[str, str]] | None:
    """(literal, "") and (name, specification) by str.format's own parser; None where the two languages differ."""
    if "[" in text:
        return None
    found: list[tuple[str, str]] = []
    literal = ""
    try:
        for before, name, spec, conversion in formatter_parser(text):
            literal += before
            if name is None:
                continue
            if conversion or "{" in spec or not name.isidentifier():
                return None
            if literal:
                found.append((literal, ""))
            literal = ""
            found.append(("{" + name, spec))
    except ValueError:
        return None
    return [*found, (literal, "")] if literal else found


class Layouts(Target):
    """Layouts as a sink's format, and time patterns as its date_style."""

    def open(self, folder: Path) -> None:
        self.logger = Logger(LoggerConfig(level=0, on_error=self.complain), name="fuzz")
        self.file = os.memfd_create("lines")
        self.errors: list[Exception] = []

    def complain(self, error: Exception) -> None:
        # A name that no record has a field for is told when the sink goes, and is no mistake of these layouts.
        if "stood for nothing" not in str(error):
            self.errors.append(error)

    def case(self, chance: Random) -> None:
        layout = some_layout(chance)
        style = None
        if chance.random() < 0.2:
            style = mutated(chance, "".join(chance.choice(PATTERNS) for _ in range(4)), ALPHABET, chance.randrange(3))
        os.ftruncate(self.file, 0)
        os.lseek(self.file, 0, os.SEEK_SET)
        try:
            sink = self.logger.add_sink(
                SinkConfig(fd=self.file, format=layout, date_style=style, newlines="keep", color=False)
            )
        except ConfigError as mistake:
            self.check_mistake(mistake, layout, style)
            return
        try:
            self.check_parse(layout)
            wanted = self.log(chance, layout)
        finally:
            self.logger.remove_sink(sink)
        text = os.pread(self.file, 1 << 24, 0).decode()
        assert re.fullmatch(wanted, text, re.DOTALL), (layout, style, text)
        assert self.errors == [], (layout, style, self.errors)

    def check_mistake(self, mistake: ConfigError, layout: str, style: str | None) -> None:
        if mistake.value == "":
            return  # no text is no layout
        told = re.search(r", at position (\d+)$", str(mistake))
        assert told, (layout, style, mistake)
        text = layout if mistake.field == "format" else style
        assert mistake.value == text, (layout, style, mistake)
        assert text is not None
        assert 0 <= int(told[1]) < len(text), (layout, style, mistake)

    def check_parse(self, layout: str) -> None:
        seen = as_str_format_sees_it(layout)
        if seen is None:
            return
        ours = []
        for code, text, spec, _ in parse_layout(layout, time=DEFAULT):
            if code == PIECE_LITERAL:
                ours.append((text, ""))
            elif code == PIECE_TIME:
                ours.append(("{time", "" if text == DEFAULT else text))
            else:
                ours.append(("{" + (text if code == PIECE_FIELD else PIECES[code]), spec))
        assert ours == seen, layout

    def log(self, chance: Random, layout: str) -> str:
        """Logs some records; returns a pattern of what they are to look like."""
        pieces = parse_layout(layout)
        wanted = []
        for _ in range(chance.randrange(1, 4)):
            level, fields = chance.choice(LEVELS), chance.choice(FIELDS)
            message = chance.choice(("", "hello", "ünï", "x" * 200))
            # Twice at one place: what is constant there is kept by the flusher.
            for _ in range(2):
                self.logger.log(level, message, **fields)
            line = "".join(self.wanted(piece, level, message, fields) for piece in pieces)
            # Fields that the layout does not name follow the line.
            wanted.append(2 * (line + ("" if not fields else ".*?") + "\n"))
        assert self.logger.flush(30)
        return "".join(wanted)

    def wanted(self, piece: tuple[int, str, str, str], level: str, message: str, fields: dict[str, object]) -> str:
        """A pattern of the text of one piece; whatever, where str.format does not say it."""
        code, text, spec, _ = piece
        here = self.log.__code__
        known: dict[str, object] = {
            "level": level,
            "message": message,
            "name": "fuzz",
            "module": __name__,
            "function": here.co_name,
            "filename": os.path.basename(here.co_filename),
            "path": here.co_filename,
            "thread": threading.get_ident(),
            "thread_name": threading.current_thread().name,
            "process": os.getpid(),
        }
        if code == PIECE_LITERAL:
            return re.escape(text.encode("utf-8", "backslashreplace").decode())
        name = text if code == PIECE_FIELD else PIECES[code]
        value = fields.get(text) if code == PIECE_FIELD else known.get(name)
        kind = KIND_INT if isinstance(value, int) else KIND_STR
        if value is None or isinstance(value, float) or not spec_kinds(spec) & kind:
            assert code == PIECE_FIELD or name in ("time", "fields", "exception", "lineno") or name in NUMBERS, piece
            return ".*?"
        return re.escape(format(value, spec).encode("utf-8", "backslashreplace").decode())

    def close(self) -> None:
        self.logger.close()
        os.close(self.file)
