"""The console: the default layout on a terminal, styles in templates, and that nothing that is logged can break either.

A terminal is a pty here, in raw mode, so that what it gets is compared to the byte.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logly import ConfigError, Logger, LoggerConfig, SinkConfig
from logly.layout.layout_template import parse_layout
from logly.layout.styles import THEME
from tests.support.loggers import make_logger
from tests.support.screen import Screen

SGR = re.compile(r"\x1b\[([\d;]*)m")
OFF, DIM, BOLD, CYAN, YELLOW = (f"\x1b[{code}m" for code in (0, 2, 1, 36, 33))


@pytest.fixture(autouse=True)
def _no_preferences(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def screen() -> Iterator[Screen]:
    one = Screen()
    yield one
    one.close()


def shown(screen: Screen, *, sink: dict[str, Any] | None = None, error: bool = False, **config: Any) -> str:
    """What a warning with two fields looks like, without the time; `error`: with a traceback."""
    with make_logger(show_time=False, **config) as logger:
        logger.add_sink(SinkConfig(**{"fd": screen.fd, **(sink or {})}))
        try:
            raise LookupError("line 1\nline 2")
        except LookupError:
            logger.warning("slow\nquery", ms=812, user="ann", exc_info=error)
        assert logger.flush(60)
        return screen.text()


def plain(text: str) -> str:
    return SGR.sub("", text)


PLACE = rf"{re.escape(__name__)}:shown:\d+"


def test_the_default_layout_to_the_byte(screen: Screen) -> None:
    text = re.sub(PLACE, "PLACE", shown(screen))
    assert text == (
        f"{BOLD}{YELLOW}WARNING {OFF}{DIM} | PLACE | {OFF}{BOLD}{YELLOW}slow{OFF}\n    {BOLD}{YELLOW}query{OFF}"
        f"{DIM} | {OFF}{CYAN}ms{OFF}=812{DIM} | {OFF}{CYAN}user{OFF}=ann\n"
    )


def test_the_time_is_dim(screen: Screen) -> None:
    with make_logger(timezone="utc") as logger:
        logger.add_sink(SinkConfig(fd=screen.fd, date_style="[now]"))
        logger.info("x")
        assert logger.flush(60)
    assert screen.text().startswith(f"{DIM}now | {OFF}{BOLD}INFO    {OFF}{DIM} | ")


@pytest.mark.parametrize(
    ("environ", "sink", "config"),
    [
        ({"NO_COLOR": "1"}, {}, {}),
        ({"FORCE_COLOR": "0"}, {}, {}),
        ({}, {"color": False}, {}),
        ({}, {}, {"global_color_display": False}),
    ],
)
def test_without_colours_the_text_is_the_same(
    screen: Screen,
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    sink: dict[str, Any],
    config: dict[str, Any],
) -> None:
    coloured = shown(screen)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert shown(screen, sink=sink, **config) == plain(coloured)


def test_a_dumb_terminal_gets_what_a_file_gets(screen: Screen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TERM", "dumb")
    screen.resize(40)
    with make_logger() as logger:
        logger.add_sink(SinkConfig(fd=screen.fd))
        logger.add_sink(tmp_path / "app.log")
        logger.warning("slow\nquery", ms=812)
    assert screen.text() == (tmp_path / "app.log").read_text()


def test_a_pipe_and_a_file_get_no_sequence_and_one_line(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with make_logger(show_time=False) as logger:
        logger.add_sink(SinkConfig(fd=writer))
        logger.add_sink(tmp_path / "app.log")
        logger.add_sink(tmp_path / "level.log", color=True)
        logger.warning("slow\nquery", ms=812)
    line = rf"WARNING  \| {__name__}:\w+:\d+ \| slow\\nquery \| ms=812\n"
    assert re.fullmatch(line, os.read(reader, 4096).decode())
    assert re.fullmatch(line, (tmp_path / "app.log").read_text())
    assert (tmp_path / "level.log").read_text().startswith(f"{YELLOW}WARNING {OFF} | {__name__}")
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize(
    ("color", "begins"), [("level", f"{YELLOW}WARNING {OFF} | "), ("line", f"{YELLOW}WARNING  | ")]
)
def test_the_sinks_own_colouring(screen: Screen, color: str, begins: str) -> None:
    assert shown(screen, sink={"color": color}).startswith(begins)


def test_a_traceback_is_indented_and_can_be_clicked(screen: Screen) -> None:
    text = plain(shown(screen, error=True))
    assert f'\n      File "{__file__}", line ' in text
    assert text.endswith("\n    LookupError: line 1\n        line 2\n")
    assert "\n    Traceback (most recent call last):\n" in text


def test_styles_of_a_traceback_can_be_left_out(screen: Screen) -> None:
    styles = {"file": "default", "mark": "", "error": "default"}
    text = shown(screen, error=True, styles=styles)
    _, _, trace = text.partition("\n    Traceback")
    assert trace == plain(trace)


@pytest.mark.parametrize(("columns", "is_narrow"), [(0, False), (59, True), (60, False), (200, False)])
def test_a_narrow_terminal_gets_the_short_layout(columns: int, is_narrow: bool) -> None:
    screen = Screen(columns)
    text = plain(shown(screen))
    assert text.startswith("W " if is_narrow else "WARNING  | ")
    screen.close()


@pytest.mark.parametrize(("columns", "is_narrow"), [(59, True), (60, False)])
def test_so_does_a_narrow_terminal_behind_a_stream(columns: int, is_narrow: bool) -> None:
    screen = Screen(columns)
    with open(screen.fd, "w", encoding="utf-8", closefd=False) as stream:
        text = plain(shown(screen, sink={"fd": None, "stream": stream}))
    assert text.startswith("W " if is_narrow else "WARNING  | ")
    screen.close()


def test_a_theme(screen: Screen) -> None:
    styles = {
        "message": "level",
        "key": "italic green",
        "value": "bold",
        "separator": "",
        "place": "default",
        "level": "red",
    }
    text = re.sub(PLACE, "PLACE", shown(screen, styles=styles, level_colors={"warning": "4"}))
    assert text == (
        "\x1b[31mWARNING \x1b[0m | PLACE | \x1b[4mslow\x1b[0m\n    \x1b[4mquery\x1b[0m"
        " | \x1b[3;32mms\x1b[0m=\x1b[1m812\x1b[0m | \x1b[3;32muser\x1b[0m=\x1b[1mann\x1b[0m\n"
    )


def test_a_part_without_a_style(screen: Screen) -> None:
    styles = dict.fromkeys(THEME, "default")
    text = shown(screen, styles=styles, error=True)
    assert text == plain(text)


def test_parts_that_follow_the_record(screen: Screen) -> None:
    """After the message, too: separators, keys, values."""
    styles = {**dict.fromkeys(THEME, "default"), "key": "level", "value": "italic level", "separator": "severity"}
    text = re.sub(PLACE, "PLACE", shown(screen, styles=styles))
    bar = f"{BOLD}{YELLOW} | {OFF}"
    assert text == (
        f"WARNING {bar}PLACE{bar}slow\n    query"
        f"{bar}{YELLOW}ms{OFF}=\x1b[3m{YELLOW}812{OFF}{bar}{YELLOW}user{OFF}=\x1b[3m{YELLOW}ann{OFF}\n"
    )


def test_a_background_does_not_fill_the_line(screen: Screen) -> None:
    style = "\x1b[31;47m"
    text = re.sub(PLACE, "PLACE", shown(screen, styles={"message": "red on white"}))
    assert f"{style}slow{OFF}\n    {style}query{OFF}" in text
    text = shown(screen, sink={"format": "{message:|red on white}", "newlines": "keep"})
    assert text == f"{style}slow{OFF}\n{style}query{OFF}\n"


def test_a_theme_can_be_changed(screen: Screen) -> None:
    with make_logger(show_time=False) as logger:
        logger.add_sink(SinkConfig(fd=screen.fd))
        logger.configure(styles={"message": "green"})
        logger.info("x")
        assert logger.flush(60)
        assert "\x1b[32mx\x1b[0m" in screen.text()


@pytest.mark.parametrize(
    ("styles", "why"),
    [
        ({"massage": "bold"}, "did you mean 'message'"),
        ({"message": "blod"}, "did you mean 'bold'"),
        ({"message": "\x1b]0;title\x07"}, "styles"),
        ({"message": 3}, "styles"),
        ("bold", "a dict"),
    ],
)
def test_a_wrong_theme(styles: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        LoggerConfig(styles=styles).validate()


# ---- styles in templates


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{level:<8|level} {message:|bold}", f"{BOLD}{YELLOW}WARNING {OFF} {BOLD}slow\\nquery{OFF}"),
        ("{message:|severity}{level:|severity}", f"{BOLD}{YELLOW}slow\\nqueryWARNING{OFF}"),
        ("{message:|Italic level}", f"\x1b[3m{YELLOW}slow\\nquery{OFF}"),
        ("{level:|bold red on white}", "\x1b[1;31;47mWARNING\x1b[0m"),
        ("{level}{message:.4|time}", f"{YELLOW}WARNING{OFF}{DIM}slow{OFF}"),
        ("{message:json|dim}", f"{DIM}slow\\nquery{OFF}"),
        ("{ms:>5|key}{user:|key}", f"{CYAN}  812ann{OFF}"),
        ("{fields[ms]:>5|Bright-Red}", "\x1b[91m  812\x1b[0m"),
        ("{fields:|dim}", f"{DIM}ms=812, user=ann{OFF}"),
        ("{message:|<12}", "slow\\nquery||"),
        ("{message:|<13|dim}", f"{DIM}slow\\nquery|||{OFF}"),
        ("{time:[at|dim]}", "at|dim"),
        ("{time:[at]|dim}", f"{DIM}at{OFF}"),
        ("{time:|message}", "TIME"),
        ("{message:|default}", "slow\\nquery"),
    ],
)
def test_styles_in_a_template(screen: Screen, template: str, text: str) -> None:
    seen = shown(screen, sink={"format": template})
    if text == "TIME":
        assert re.fullmatch(r"\x1b\[1m\x1b\[33m[\d: .-]+\x1b\[0m\n", seen)
    else:
        assert seen == f"{text}\n"
    assert shown(screen, sink={"format": template, "color": False}) == plain(seen) or text == "TIME"
    assert SGR.sub("", shown(screen, sink={"format": template, "color": "line"})) == plain(seen) or text == "TIME"


def test_styles_in_a_template_of_a_file(tmp_path: Path) -> None:
    with make_logger() as logger:
        logger.add_sink(tmp_path / "plain.log", format="{message:|bold}")
        logger.add_sink(tmp_path / "colour.log", format="{message:|bold}", color=True)
        logger.info("x")
    assert (tmp_path / "plain.log").read_text() == "x\n"
    assert (tmp_path / "colour.log").read_text() == f"{BOLD}x{OFF}\n"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{level:<8|blod}", "'blod' is no style, did you mean 'bold'"),
        ("{level|bold}", "is not a placeholder"),
        ("{level:<8|bold on}", "'<8|bold on' is not a format specification"),
        ("{level:d|bold}", "'d' is not for text"),
    ],
)
def test_a_wrong_style_in_a_template(template: str, why: str) -> None:
    with Logger(auto_sink=False) as logger, pytest.raises(ConfigError, match=re.escape(why)):
        logger.add_sink("x.log", format=template)


@given(st.text("{}|:<>^ adeilmnost8", max_size=20), st.sampled_from(sorted(THEME)))
def test_a_style_changes_nothing_else_of_a_template(spec: str, style: str) -> None:
    def pieces(template: str) -> list[Any] | None:
        try:
            return parse_layout(template)
        except ConfigError:
            return None

    without, styled = pieces(f"{{message:{spec}}}"), pieces(f"{{message:{spec}|{style}}}")
    if without is not None and len(without) == 1 and not without[0][3] and "}" not in spec and "{" not in spec:
        assert styled == [(*without[0][:3], style)]


# ---- nothing that is logged can break the colours or the terminal

NASTY = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\x1b\x9b\x07\x08\r\n\t\x85\u2028\u202e\x00\x7f[]m;0"),
    ),
    max_size=40,
) | st.sampled_from(
    [
        "\x1b[0m",
        "\x1b[31mred",
        "\x1b]0;title\x07",
        "\x1b[2J\x1b[H",
        "\x9b31m",
        "\x1bPq\x1b\\",
        "\x1b]8;;http://x\x1b\\y",
    ]
)


class Beside:
    """A terminal, and a file that gets the same without colours."""

    def __init__(self, folder: Path) -> None:
        self.screen = Screen()
        self.path = folder / "app.log"
        self.logger = make_logger(timezone="utc")
        self.logger.add_sink(SinkConfig(fd=self.screen.fd))
        self.logger.add_sink(SinkConfig(path=self.path, newlines="indent"))
        self.at = 0

    def both(self) -> tuple[str, str]:
        assert self.logger.flush(60)
        with self.path.open("rb") as file:
            file.seek(self.at)
            written = file.read()
        self.at += len(written)
        seen = b""
        while len(SGR.sub("", seen.decode(errors="replace")).encode()) < len(written):
            seen += os.read(self.screen.master, 1 << 16)
        return seen.decode(), written.decode()


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("NO_COLOR", raising=False)
        patch.delenv("FORCE_COLOR", raising=False)
        patch.setenv("TERM", "xterm")
        one = Beside(tmp_path_factory.mktemp("console"))
    yield one
    one.logger.close()
    one.screen.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    message=NASTY,
    arguments=st.lists(NASTY, max_size=2),
    fields=st.dictionaries(NASTY, NASTY | st.lists(NASTY), max_size=3),
    error=st.none() | NASTY,
    notes=st.lists(NASTY, max_size=2),
    file=NASTY,
    module=NASTY,
)
def test_no_content_breaks_colours_or_terminal(
    beside: Beside,
    message: str,
    arguments: list[str],
    fields: dict[str, Any],
    error: str | None,
    notes: list[str],
    file: str,
    module: str,
) -> None:
    fields = {
        name: value for name, value in fields.items() if name not in ("exc_info", "stack_info", "stacklevel", "extra")
    }
    try:
        made: type[Exception] = type(error or "E", (Exception,), {})
    except ValueError:  # no name of a class
        made = Exception
    code = """
bound = logger.bind(**fields)
if raised is None:
    bound.warning(message, *arguments)
else:
    try:
        raise raised
    except Exception as trouble:
        bound.warning(message, *arguments, exc_info=trouble)
"""
    raised = made(error) if error is not None else None
    for note in notes if raised else ():
        raised.add_note(note)
    names = {"logger": beside.logger, "fields": fields, "message": message, "arguments": arguments, "raised": raised}
    exec(compile(code, file.replace("\0", ""), "exec"), {**names, "__name__": module})
    seen, written = beside.both()
    assert plain(seen) == written
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]", plain(seen))
    is_open = False
    for code in SGR.findall(seen):
        assert code in ("0", "1", "1;31", "2", "31", "33", "36")
        assert is_open or code != "0"
        is_open = code != "0"
    assert not is_open


def test_the_more_a_record_matters_the_easier_it_is_found(screen: Screen) -> None:
    with make_logger(level="debug") as logger:
        logger.add_sink(SinkConfig(fd=screen.fd, format="{level:|level} {message:|message}{name:|severity}."))
        for level in ("debug", "info", "success", "warning", "error"):
            logger.log(level, level)
        assert logger.flush(60)
    cyan, green, red = (f"\x1b[{code}m" for code in (36, 32, 31))
    assert screen.text().split("\n") == [
        f"{cyan}DEBUG{OFF} debugroot.",
        f"{BOLD}INFO{OFF} {BOLD}inforoot{OFF}.",
        f"{BOLD}{green}SUCCESS{OFF} {BOLD}successroot{OFF}.",
        f"{BOLD}{YELLOW}WARNING{OFF} {BOLD}{YELLOW}warningroot{OFF}.",
        f"{BOLD}{red}ERROR{OFF} {BOLD}{red}errorroot{OFF}.",
        "",
    ]
