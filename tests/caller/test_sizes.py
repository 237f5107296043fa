"""What is too large for a line, a ring or a record."""

from pathlib import Path

import pytest

from tests.support.output import Output


@pytest.mark.parametrize("limit", [64, 1000, 70_000])
@pytest.mark.parametrize("char", ["a", "é", "€", "😀", "\ud800", "\0"])
def test_a_message_is_cut_at_the_limit(tmp_path: Path, limit: int, char: str) -> None:
    output = Output(tmp_path, max_message_bytes=limit)
    with output.logger as logger:
        size = len(char.encode("utf-8", "backslashreplace"))
        fits = char * (limit // size)
        for text in (fits, fits + char * 8):
            logger.info(text)
            logger.info("{}", text)
            logger.info("{}", [text])
        lines = output.text().split("\n")[:-1]
    shown = fits.encode("utf-8", "backslashreplace").decode()
    whole = (fits + char * 8).encode("utf-8", "backslashreplace").decode()
    assert lines[:2] == [shown, shown]
    for line in lines[3:5]:
        text, mark, rest = line.partition(" [logly: cut, ")
        assert whole.startswith(text)
        assert limit - 12 < len(text.encode()) <= limit
        assert (mark != "", rest) == (True, f"{len(fits) + 8} characters in all]")
    assert "[logly: cut, " in lines[5]


@pytest.mark.parametrize("template", ["{0}{0}{0}", "{0!r}", "{0!a}", "{0!a}" * 8, "{0}-{1}-{0}"])
@pytest.mark.parametrize("char", ["a", "\x01", "é", "\x80", "€", "\ue000", "😀", "\U000e0001", "\ud800"])
def test_a_message_that_shows_its_arguments_longer_is_cut_too(tmp_path: Path, template: str, char: str) -> None:
    limit = 4000
    output = Output(tmp_path, max_message_bytes=limit)
    expected = []
    with output.logger as logger:
        for size in (1, 30, 90, 125, 150, 330, 390, 410, 999, 1001, 1400, 3900, 4100):
            args = (char * size, char)
            logger.info(template, *args)
            expected.append(template.format(*args).encode("utf-8", "backslashreplace"))
        lines = output.text().encode().split(b"\n")[:-1]
    assert len(lines) == len(expected)
    for line, whole in zip(lines, expected, strict=True):
        text, mark, _ = line.partition(b" [logly: cut, ")
        assert whole.startswith(text)
        assert len(text) <= limit
        assert bool(mark) == (len(whole) > limit)


def test_a_hundred_megabytes(tmp_path: Path) -> None:
    output = Output(tmp_path)
    with output.logger as logger:
        text = "x" * 100_000_000
        logger.info(text)
        logger.info("{}", text)
        logger.info("field", own=text)
        logger.info("field", own=text.encode())
        del text
        logger.info("after")
        assert logger.flush(60)
        assert logger.stats().written == 5
    size = output.path.stat().st_size
    assert 2 * 2**26 < size < 2 * 2**26 + 1000
    with output.path.open("rb") as file:
        assert file.read(3) == b"xxx"
        file.seek(-6, 2)
        assert file.read() == b"after\n"


def test_fields_are_bounded_together(tmp_path: Path) -> None:
    output = Output(tmp_path, "{fields}", max_message_bytes=1000)
    with output.logger as logger:
        logger.info("x", a="a" * 600, b="b" * 600, c=[1] * 5000, d=b"d" * 3000, e=1)
        line = output.last()
    assert len(line) < 1000 + 400
    assert "a" * 600 in line
    assert "b" * 400 in line
    assert "b" * 401 not in line
    assert line.count("[logly: cut, ") == 3
    assert "e=1" in line
