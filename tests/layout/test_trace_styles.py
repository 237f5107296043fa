"""Styles of tracebacks on a terminal: `<file>`, `%marks%` and `!type!` in what is expected."""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterator

import pytest

from logly import SinkConfig
from tests.support.loggers import make_logger
from tests.support.screen import Screen

MARKS = [("\x1b[36m", "<", ">"), ("\x1b[31m", "%", "%"), ("\x1b[1;31m", "!", "!")]
SOURCE = "/srv/shop.py"

MESSAGE = (
    r"raise Odd('line 1\nline 2')",
    r"""
    Traceback (most recent call last):
      <File "/srv/shop.py", line 1>, in <module>
        raise Odd('line 1\nline 2')
    !shop.Odd!: line 1
        line 2
""",
)
NO_MESSAGE = (
    "raise Odd",
    """
    Traceback (most recent call last):
      <File "/srv/shop.py", line 1>, in <module>
        raise Odd
    !shop.Odd!
""",
)
NOTES = (
    r"raise noted(Odd(5), 'hint: again\nb: c', 'KeyError: no')",
    r"""
    Traceback (most recent call last):
      <File "/srv/shop.py", line 1>, in <module>
        raise noted(Odd(5), 'hint: again\nb: c', 'KeyError: no')
    !shop.Odd!: 5
    hint: again
        b: c
    KeyError: no
""",
)
NOTES_IN_GROUP = (
    "raise noted(ExceptionGroup('two', [noted(Odd(), 'c: d'), Odd()]), 'a: b')",
    """
      + Exception Group Traceback (most recent call last):
      |   <File "/srv/shop.py", line 1>, in <module>
      |     raise noted(ExceptionGroup('two', [noted(Odd(), 'c: d'), Odd()]), 'a: b')
      | !ExceptionGroup!: two (2 sub-exceptions)
      | a: b
      +-+---------------- 1 ----------------
        | !shop.Odd!
        | c: d
        +---------------- 2 ----------------
        | !shop.Odd!
        +------------------------------------
""",
)
PARTS = (
    "one = {'total': 1 / (len('') * 2)}",
    """
    Traceback (most recent call last):
      <File "/srv/shop.py", line 1>, in <module>
        one = {'total': 1 / (len('') * 2)}
    !ZeroDivisionError!: division by zero
""",
)
GROUP = (
    "raise ExceptionGroup('two', [Odd(), ValueError('a: b')]) from OSError(2, 'no file')",
    """
    !FileNotFoundError!: [Errno 2] no file
....
    The above exception was the direct cause of the following exception:
....
      + Exception Group Traceback (most recent call last):
      |   <File "/srv/shop.py", line 1>, in <module>
      |     raise ExceptionGroup('two', [Odd(), ValueError('a: b')]) from OSError(2, 'no file')
      | !ExceptionGroup!: two (2 sub-exceptions)
      +-+---------------- 1 ----------------
        | !shop.Odd!
        +---------------- 2 ----------------
        | !ValueError!: a: b
        +------------------------------------
""",
)
ODD_FILE = (
    """compile('a b', 'the "odd", line x.py', 'exec')""",
    """
    Traceback (most recent call last):
      <File "/srv/shop.py", line 1>, in <module>
        compile('a b', 'the "odd", line x.py', 'exec')
      <File "the "odd", line x.py", line 1>
        a b
    !SyntaxError!: invalid syntax
""",
)
CASES = {
    "message": MESSAGE,
    "no message": NO_MESSAGE,
    "parts": PARTS,
    "notes": NOTES,
    "group with notes": NOTES_IN_GROUP,
    "group": GROUP,
    "odd file": ODD_FILE,
}


class Odd(Exception):
    __module__ = "shop"


def noted(error: Exception, *notes: str) -> Exception:
    for note in notes:
        error.add_note(note)
    return error


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Screen]:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    one = Screen()
    yield one
    one.close()


def shown(screen: Screen, code: str, monkeypatch: pytest.MonkeyPatch, newlines: str = "indent") -> str:
    """The traceback of the code, with signs for styles. Versions of Python mark different parts below the source."""
    monkeypatch.setitem(linecache.cache, SOURCE, (len(code), None, [code], SOURCE))
    with make_logger() as logger:
        logger.add_sink(SinkConfig(fd=screen.fd, newlines=newlines))  # type: ignore[arg-type]
        try:
            exec(compile(code, SOURCE, "exec"), {"Odd": Odd, "noted": noted})
        except Exception as error:
            trace = error.__traceback__
            error.__traceback__ = trace and trace.tb_next  # without this test's own frame
            logger.error("x", exc_info=error)
        assert logger.flush(60)
    text = screen.text()
    for sequence, begin, end in MARKS:
        text = re.sub(rf"{re.escape(sequence)}([^\x1b]+)\x1b\[0m", rf"{begin}\1{end}", text)
    lines = text.split("\n")[1:]
    assert not [line for line in lines if re.fullmatch(r"[ |]*[~^]+", line)], "marks without their style"
    return "\n".join(line for line in lines if not re.fullmatch(r"[ |]*%[~^ ]+%", line))


@pytest.mark.parametrize(("code", "expected"), CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("newlines", ["indent", "escape"])
def test_styles_of_a_traceback(
    screen: Screen, code: str, expected: str, newlines: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = expected[1:].replace("....", "    ")
    if newlines == "escape":
        expected = re.sub(r"(?m)^    ", "", expected)
    assert shown(screen, code, monkeypatch, newlines) == expected


def test_marks_have_their_style(screen: Screen) -> None:
    with make_logger() as logger:
        logger.add_sink(SinkConfig(fd=screen.fd))
        try:
            compile("one = (", SOURCE, "exec")
        except SyntaxError as error:
            logger.error("x", exc_info=error)
        assert logger.flush(60)
    assert "\n          \x1b[31m^\x1b[0m\n" in re.sub(r"(?<=\n) +(?=\x1b)", " " * 10, screen.text())


def test_a_message_that_looks_like_an_exception_has_no_style(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """With newlines="keep" its lines begin at the margin."""
    text = shown(screen, "raise Odd('KeyError: 1\\nKeyError: 2')", monkeypatch, newlines="keep")
    assert text.endswith("\nshop.Odd: KeyError: 1\nKeyError: 2\n")
