"""Colours: the escape sequence for a name or code, and whether a sink uses colours at all.

An SGR sequence ("select graphic rendition", ECMA-48 8.3.117) is ``ESC [ codes m``.
"""

from logly.errors import invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["is_dumb", "parse_color", "use_color"]

COLORS = {
    "black": 30, "red": 31, "green": 32, "yellow": 33, "blue": 34, "magenta": 35, "cyan": 36, "white": 37,
    "default": 39, "gray": 90, "grey": 90,
    "bright_black": 90, "bright_red": 91, "bright_green": 92, "bright_yellow": 93, "bright_blue": 94,
    "bright_magenta": 95, "bright_cyan": 96, "bright_white": 97,
}  # fmt: skip
STYLES = {"bold": 1, "dim": 2, "italic": 3, "underline": 4, "blink": 5, "reverse": 7, "strike": 9}
_TO_BACKGROUND = 10
_EXPECTED = (
    f"a colour ({', '.join(COLORS)}), a style ({', '.join(STYLES)}), several of them ('bold red on white'), "
    "or SGR codes ('31;1', '38;5;208')"
)


def parse_color(text: str, *, field: "str | None" = None) -> str:
    """Return the SGR sequence that switches a colour on; "" for the terminal's own colour.

    Args:
        text: names separated by spaces in any order and case (``"bright_red"``, ``"bold yellow"``,
            ``"underline"``, ``"red on white"``), or raw SGR codes (``"31;1"`` or ``"\\x1b[31m"``).
            ``""`` and ``"default"`` mean no colour.
        field: the field to name in the error.

    Raises:
        ConfigError: an unknown name, or a text that is not a list of SGR codes.

    Examples:
        >>> parse_color("bold yellow")
        '\\x1b[1;33m'
    """
    if not isinstance(text, str):
        raise invalid(field, text, _EXPECTED)
    raw = _raw_codes(text.strip())
    if raw is not None:
        return f"\x1b[{raw}m"
    codes: list[int] = []
    background = False
    for word in text.lower().replace("-", "_").split():
        if word == "on" and not background:
            background = True
        elif word in COLORS:
            codes.append(COLORS[word] + (_TO_BACKGROUND if background else 0))
            background = False
        elif word in STYLES and not background:
            codes.append(STYLES[word])
        else:
            error = invalid(field, word, _EXPECTED, [*COLORS, *STYLES])
            error.value = text
            raise error
    if background:
        raise invalid(field, text, _EXPECTED)
    # Styles come first, because some terminals reset the colour at "bold".
    codes = [code for code in sorted(codes, key=lambda code: code >= 30) if code != COLORS["default"]]
    return f"\x1b[{';'.join(map(str, codes))}m" if codes else ""


def _raw_codes(text: str) -> "str | None":
    """Return the codes of `text` where it consists of codes or of whole SGR sequences, else None.

    Anything but digits and separators is refused, so that a configured colour cannot smuggle in other escapes.
    """
    if text.startswith("\x1b["):
        if not text.endswith("m"):
            return None
        text = text[2:-1].replace("m\x1b[", ";")
    return text if text and not text.strip("0123456789;:") and text[0].isdigit() else None


def is_dumb(environ: "Mapping[str, str] | None" = None) -> bool:
    """Return whether the terminal says that it can nothing but print (``TERM=dumb``)."""
    if environ is None:
        import os

        environ = os.environ
    return environ.get("TERM") == "dumb"


def use_color(
    setting: "bool | None",
    *,
    is_terminal: bool,
    is_file: bool = False,
    environ: "Mapping[str, str] | None" = None,
) -> bool:
    """Return whether a sink writes colours.

    The first rule that applies decides: the sink's own `setting`; never in files; ``NO_COLOR`` set and not
    empty: no; ``FORCE_COLOR`` set and not empty: yes, or no where it is ``"0"``; ``TERM=dumb``: no; else only
    on a terminal. (https://no-color.org, https://force-color.org)

    Args:
        setting: `SinkConfig.color`; None leaves it to the other rules.
        is_terminal: whether the sink's stream is a terminal (`isatty`).
        is_file: whether the sink writes to a `path`; ``FORCE_COLOR`` is meant for consoles and pipes only.
        environ: variables to look at; None: `os.environ`.
    """
    if setting is not None:
        return setting
    if is_file:
        return False
    if environ is None:
        import os

        environ = os.environ
    if environ.get("NO_COLOR"):
        return False
    forced = environ.get("FORCE_COLOR")
    if forced:
        return forced != "0"
    return is_terminal and not is_dumb(environ)
