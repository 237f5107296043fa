"""Levels by name, as users write them: ``"info,shop.db=debug,urllib3=off"``, or a mapping."""

from logly.errors import ConfigError, invalid, nearest, show
from logly.levels import BUILTIN_LEVELS, MAX_LEVEL, OFF, level_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Tell = Callable[[ConfigError], None]

__all__ = ["LevelSpec", "parse_levels", "parse_what_can_be_read", "without_comments"]


class LevelSpec:
    """What a text or a mapping of levels says. It never changes.

    Attributes:
        level: the level where no directive matches; None: nothing is said about that.
        names: level by name of a logger or module; it holds for everything below the name, too.
    """

    __slots__ = ("level", "names")

    def __reduce__(self) -> "tuple[Any, ...]":  # for all protocols of pickle
        return LevelSpec, (self.level, self.names)

    def __init__(self, level: "int | None" = None, names: "dict[str, int] | None" = None) -> None:
        self.level = level
        self.names = names or {}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LevelSpec):
            return NotImplemented
        return (self.level, self.names) == (other.level, other.names)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"LevelSpec({self.level!r}, {self.names!r})"

    def for_name(self, name: str) -> "tuple[int | None, str]":
        """The level for a name, and the name in the directive that decides: "" where none matches."""
        while name:
            if name in self.names:
                return self.names[name], name
            name = name.rpartition(".")[0]
        return self.level, ""

    def over(self, lower: "LevelSpec") -> "LevelSpec":
        """Both in one, where this one decides about what both name."""
        return LevelSpec(lower.level if self.level is None else self.level, {**lower.names, **self.names})


def parse_levels(field: str, value: "Any", levels: "Mapping[str, int]") -> LevelSpec:
    """Read levels by name.

    Args:
        field: the field to name in the error.
        value: a level; a text of directives; a mapping of levels by name, where the empty name stands for all others.
        levels: number of each custom level by name.

    Raises:
        ConfigError: something in it cannot be read. The message shows the place, and what is valid.
    """
    if isinstance(value, LevelSpec):
        return value
    if isinstance(value, str):
        spec = _parsed(field, value, levels, _raise)
        if spec.level is None and not spec.names:
            raise invalid(field, value, "a level, or directives like 'info,shop.db=debug'")
        return spec
    if hasattr(value, "items") and not isinstance(value, type):
        return _of_mapping(field, value, levels)
    return LevelSpec(_number(field, value, levels))


def parse_what_can_be_read(field: str, text: str, levels: "Mapping[str, int]", tell: "Tell") -> LevelSpec:
    """Like `parse_levels` of a text, but tells of what cannot be read and goes on with the rest."""
    return _parsed(field, text, levels, tell)


def without_comments(text: str) -> str:
    """Directives on lines, with ``#`` comments, as one line in which each of them is where it was."""
    lines = []
    for line in text.replace("\r", " ").split("\n"):
        content = line.partition("#")[0]
        lines.append(content + " " * (len(line) - len(content)))
    return ",".join(lines)


def _raise(trouble: ConfigError) -> None:
    raise trouble


def _parsed(field: str, text: str, levels: "Mapping[str, int]", tell: "Tell") -> LevelSpec:
    level: int | None = None
    names: dict[str, int] = {}
    place = 1
    for directive in text.split(","):
        unreadable = None
        try:
            name, word = _split(directive)
            if name is None:
                if word:
                    _refuse_colon(word, levels)
                    if level is not None:
                        raise _Unreadable(f"a second level for everything, {word!r}: give one")
                    level = _level_of(word, levels, is_bare=True)
            elif name in names:
                raise _Unreadable(f"a second level for {name!r}: give one")
            else:
                names[name] = _level_of(word, levels, is_bare=False)
        except _Unreadable as trouble:
            unreadable = str(trouble)
        if unreadable is not None:  # told here, so that no error of this module's is chained to it
            start = place + len(directive) - len(directive.lstrip())
            message = f"{field} = {show(text)}: at character {start}, {unreadable}"
            tell(ConfigError(message, field=field, value=text))
        place += len(directive) + 1
    return LevelSpec(level, names)


class _Unreadable(Exception):  # it never leaves this module
    """A directive that cannot be read."""


def _split(directive: str) -> "tuple[str | None, str]":
    """Name and level of a directive; no name: the level of everything else."""
    name, equals, word = directive.partition("=")
    name, word = name.strip(), word.strip()
    if not equals:
        return None, name
    if not name:
        rest = f", or {word!r} for everything" if word else ""
        raise _Unreadable(f"there is no name before {'=' + word!r}: write 'shop.db=debug'{rest}")
    if "*" in name:
        raise _Unreadable(f"{name!r} has a *: leave it out, a name holds for everything below it ('shop=debug')")
    if not word:
        raise _Unreadable(f"there is no level after {name + '='!r}: write {name + '=debug'!r}, for example")
    return name, word


def _refuse_colon(word: str, levels: "Mapping[str, int]") -> None:
    """`shop.db:debug` is meant to be `shop.db=debug`."""
    name, colon, level = (part.strip() for part in word.partition(":"))
    if colon and name and level and (level.isdigit() or level.lower() in _level_words(levels)):
        raise _Unreadable(f"{word!r} has a colon: write {f'{name}={level}'!r}")


def _level_words(levels: "Mapping[str, int]") -> "set[str]":
    return {one.lower() for one in (*BUILTIN_LEVELS, *levels, "warn", "fatal", "off")}


def _level_of(word: str, levels: "Mapping[str, int]", *, is_bare: bool) -> int:
    if word.isascii() and word.isdigit():
        if int(word[:6]) <= MAX_LEVEL and len(word) < 7:
            return int(word)
        raise _Unreadable(f"{word} is too large for a level: use 0 to {MAX_LEVEL}")
    try:
        return level_number(word, levels)
    except ConfigError:
        pass
    if word.lower() == "off":
        return OFF
    valid = [*BUILTIN_LEVELS, *levels]
    near = nearest(word, [*valid, "WARN", "FATAL", "off"])
    hint = f" (did you mean {near!r}?)" if near else ""
    if is_bare and not near:
        hint = f" (for a module of that name, write {word + '=debug'!r})"
    raise _Unreadable(f"{word!r} is no level: use {', '.join(valid)}, off, or an int from 0 to {MAX_LEVEL}{hint}")


def _of_mapping(field: str, value: "Any", levels: "Mapping[str, int]") -> LevelSpec:
    level: int | None = None
    names: dict[str, int] = {}
    for name in value:
        one = f"{field}[{show(name)}]"
        if not isinstance(name, str) or "*" in name:
            raise invalid(
                one, value[name], "names without * (each holds for everything below it); '' is everything else"
            )
        number = _number(one, value[name], levels)
        if name:
            names[name] = number
        else:
            level = number
    if level is None and not names:
        raise invalid(
            field, value, "a mapping of levels by name that is not empty, like {'': 'info', 'shop.db': 'debug'}"
        )
    return LevelSpec(level, names)


def _number(field: str, value: "Any", levels: "Mapping[str, int]") -> int:
    if isinstance(value, str):
        try:
            return _level_of(value.strip(), levels, is_bare=False)
        except _Unreadable as trouble:
            raise ConfigError(
                f"{field} = {show(value)}: {trouble}", field=field.partition("[")[0], value=value
            ) from None
    return level_number(value, levels, field=field)
