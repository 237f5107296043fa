"""Styles of the parts of a line: words in a template and in `LoggerConfig.styles`, and the SGR sequences for the core.

A style holds for one placeholder. Neighbours with the same style share one sequence.
"""

from __future__ import annotations

from logly._core import PIECE_LITERAL, PIECES
from logly.errors import ConfigError, invalid, nearest

from .colors import COLORS, STYLES, parse_color

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from .layout_template import Piece

    CoreStyle: TypeAlias = "tuple[str, bool, bool]"
    """An SGR sequence, whether the level's color follows it, and whether it follows the level as `SEVERITY` says."""
    StyleOfPiece: TypeAlias = "tuple[CoreStyle | None, bool, bool]"
    """The style, and whether it begins and ends here: neighbours with the same one share it."""

__all__ = ["THEME", "console_styles", "is_style", "part_styles", "style_hint", "styles_of", "theme_of"]

LEVEL = "level"
"""The word in a style for the color of the record's level."""
SEVERITY = "severity"
"""The word for what the eye finds the more easily the more a record matters: nothing below INFO, then bold, and from
WARNING on bold in the level's color."""
THEME = {
    "time": "dim",
    "level": "severity level",
    "place": "dim",
    "message": SEVERITY,
    "separator": "dim",
    "key": "cyan",
    "value": "default",
    "file": "cyan",
    "mark": "red",
    "error": "bold red",
}
"""What the console looks like. Only styles and the sixteen colors of the terminal's own theme: these fit a light
background and a dark one."""

_PLACE = {"module", "function", "filename", "path", "lineno", "name", "thread", "thread_name", "process"}


def is_style(words: str) -> bool:
    """Whether this is a style in a template: words of `parse_color`, or a name of the theme."""
    names = words.lower().replace("-", "_").split()
    if len(names) == 1 and names[0] in THEME:
        return True
    if not names or not all(name in COLORS or name in STYLES or name in ("on", LEVEL, SEVERITY) for name in names):
        return False
    try:
        parse_style(words)
    except ConfigError:  # "red on"
        return False
    return True


def style_hint(placeholder: str) -> str:
    """What to say of a mistake in ``NAME:SPEC|STYLE`` that may be in the style; "": it is hardly there."""
    words = placeholder.partition(":")[2].rpartition("|")[2].split()
    if not words or not all(word.replace("_", "").isalpha() for word in words):
        return ""
    wrong = next((word for word in words if not is_style(word)), words[0])
    close = nearest(wrong, [*COLORS, *STYLES, *THEME, SEVERITY])
    return f" ({wrong!r} is no style{f', did you mean {close!r}?' if close else ''})"


def parse_style(text: str, *, field: str | None = None) -> str:
    """A style for the core: an SGR sequence, after which `SEVERITY` and `LEVEL` may stand.

    Raises:
        ConfigError: a word that is none of a style.
    """
    words = text.lower().split() if isinstance(text, str) else []
    of_record = "".join(word for word in (SEVERITY, LEVEL) if word in words)
    if not of_record:
        return parse_color(text, field=field)
    return parse_color(" ".join(word for word in words if word not in (SEVERITY, LEVEL)), field=field) + of_record


def theme_of(given: Mapping[str, str], *, field: str = "styles") -> dict[str, str]:
    """The theme with these styles in place of its own, as `parse_style` gives them.

    Raises:
        ConfigError: a name that the theme does not have, or a style that is none.
    """
    theme = {name: parse_style(THEME[name]) for name in THEME}
    for name in given:
        one = f"{field}[{name!r}]"
        if name not in THEME:
            raise invalid(one, name, f"a part of a line: {', '.join(THEME)}", [*THEME])
        theme[name] = parse_style(given[name], field=one)
    return theme


def styles_of(pieces: list[Piece], theme: Mapping[str, str]) -> list[StyleOfPiece]:
    """The styles that a template gives to its pieces, as the core has them."""
    return _shared([_resolved(piece[3], theme) for piece in pieces])


def console_styles(pieces: list[Piece], theme: Mapping[str, str]) -> list[StyleOfPiece]:
    """The styles of the default layout on a terminal."""
    return _shared([theme[_part(pieces, number)] for number in range(len(pieces))])


def part_styles(theme: Mapping[str, str]) -> tuple[CoreStyle, ...]:
    """Those of the fields and of the traceback that end the default layout, in the core's order."""
    return tuple(_for_core(theme[name]) for name in ("separator", "key", "value", "file", "mark", "error"))


def _part(pieces: list[Piece], number: int) -> str:
    """The name in the theme of a piece of the default layout."""
    name = PIECES[pieces[number][0]]
    if pieces[number][0] == PIECE_LITERAL:  # a colon stands within the place
        return "separator" if " " in pieces[number][1] else "place"
    return "place" if name in _PLACE else name


def _resolved(words: str, theme: Mapping[str, str]) -> str | None:
    if not words:
        return None
    name = words.strip().lower()
    return theme[name] if name in THEME else parse_style(words)


def _for_core(style: str) -> CoreStyle:
    return style.replace(LEVEL, "").replace(SEVERITY, ""), LEVEL in style, SEVERITY in style


def _shared(styles: list[str | None]) -> list[StyleOfPiece]:
    """The styles of all pieces, as the core has them."""
    neighbours = zip([None, *styles], styles, [*styles[1:], None], strict=False)
    return [
        (None if style is None else _for_core(style), style != before, style != after)
        for before, style, after in neighbours
    ]
