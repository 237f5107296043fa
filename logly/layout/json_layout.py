"""Makes the pieces of JSON layouts out of `Preset`s and of the settings `json_keys`, `json_static`, `json_fields`,
`json_time` and `json_level`. This happens when a sink is added.

No key of an object stands twice. A field whose name is a key of the layout gets underscores appended, so keys that
differ by underscores at the end only are refused here.
"""

from __future__ import annotations

import os

from logly._core import json_of
from logly.errors import ConfigError, nearest, show

from .presets import DATADOG, ECS, GCP, PLAIN, Preset, Static

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from .presets import Source

    Part: TypeAlias = tuple[str, str, str]

__all__ = ["PRESETS", "JsonMembers", "Renamed", "json_members"]

PRESETS = {"json": PLAIN, "ecs": ECS, "gcp": GCP, "datadog": DATADOG}
"""By the names that `SinkConfig.format` has for them; "otlp" is in layout/otlp.py."""

SHOWS = {
    "time": "",
    "level": "",
    "logger": "",
    "logger_or_module": "module",
    "message": "",
    "module": "module",
    "function": "function",
    "filename": "filename",
    "path": "path",
    "lineno": "lineno",
    "lineno_text": "lineno",
    "exception_type": "",
    "exception_message": "",
    "exception_stack": "",
    "stack": "",
}
"""What a record has, and which placeholder of a text layout needs the same of a record."""

WHEN = {
    "logger": "named",
    "exception_type": "exception",
    "exception_message": "exception",
    "exception_stack": "exception",
    "stack": "stack",
}
"""Which records have it, where that is not all of them."""

MOST_DOTS = 20
"""Beyond so many levels, Elasticsearch refuses a document anyway."""
RECORDER = "recorder"
CLOUD_TRACE = "logging.googleapis.com/trace"
FIRST_NAMES = {source: key for key, source in PLAIN.front.items() if isinstance(source, str)} | {
    "logger_or_module": "logger"
}
"""The keys of plain JSON, by what stands under them. In `json_keys` they may be used with every layout."""


class JsonMembers:
    """What a JSON layout is compiled from: see `fill_json_layout` in layout/json_compile.pxi.

    Attributes:
        parts: (a name of `json_codes`, which records have it, the text of a "literal").
        words: (number, JSON): what the layout calls a level, from the highest number on.
        names: names of fields that are not shown as they are: (name, form, which records, the field whose place it is,
            separator and key of the place, what stands before the value).
        time: "rfc3339", "epoch_s", "epoch_ms" or "epoch_ns".
        fields_key: separator and key of the one member that has the fields; empty: they are members themselves.
        stack_key: the key of the call's stack; empty: it is not shown.
        shown: what it needs of records, as names of placeholders.
    """

    __slots__ = ("fields_key", "is_pretty", "names", "parts", "shown", "stack_key", "time", "words")

    def __init__(self, *, is_pretty: bool, time: str) -> None:
        self.is_pretty = is_pretty
        self.time = time
        self.parts: list[Part] = []
        self.words: list[tuple[int, str]] = []
        self.names: list[tuple[str, str, str, str | None, str, str]] = []
        self.fields_key = self.stack_key = ""
        self.shown: set[str] = set()

    def key(self, name: str) -> str:
        """The separator, the key and the colon of a member."""
        return f",\n  {json_of(name)}: " if self.is_pretty else f",{json_of(name)}:"

    def literal(self, text: str, when: str = "always") -> None:
        """Adds text. It joins the text before, because each part costs time."""
        if self.parts and self.parts[-1][:2] == ("literal", when):
            text = self.parts.pop()[2] + text
        self.parts.append(("literal", when, text))

    def part(self, code: str, when: str = "always") -> None:
        """Adds what each record has of its own."""
        self.parts.append((code, when, ""))

    def value(self, source: Source, when: str, level: str) -> None:
        """Adds what stands under a key."""
        if isinstance(source, Static):
            self.literal(json_of(source.value), when)
        elif isinstance(source, dict):
            before = "{"
            for name in source:
                self.literal(f"{before}{json_of(name)}:", when)
                self.value(source[name], when, level)
                before = ","
            self.literal("}", when)
        else:
            self.shown.add(SHOWS[source])
            code = {"time": self.time, "level": level, "lineno_text": "lineno"}.get(source, source)
            quote = '"' if code == "rfc3339" or source == "lineno_text" else ""
            if quote:
                self.literal(quote, when)
            self.parts.append((code, when, ""))
            if quote:
                self.literal(quote, when)

    def member(self, name: str, source: Source, level: str) -> None:
        """Adds a key, and what stands under it."""
        when = _when(source)
        if source == "stack":
            self.stack_key = name
            self.parts.append(("stack", when, ""))
            return
        self.literal(self.key(name), when)
        self.value(source, when, level)


def _when(source: Source) -> str:
    while isinstance(source, dict):
        source = next(iter(source.values()))
    return WHEN.get(source, "always") if isinstance(source, str) else "always"


def json_members(
    layout: str = "json",
    *,
    keys: Mapping[str, str | None] | None = None,
    static: Mapping[str, object] | None = None,
    fields: str | None = None,
    time: str | None = None,
    level: str | None = None,
    is_pretty: bool = False,
) -> JsonMembers:
    """A JSON layout.

    Args:
        layout: a name of `PRESETS`, or "otlp".
        keys: new keys by the layout's keys; None and "": the member is left out.
        static: further members, the same in every line.
        fields: the key under which the fields stand; None: they are members of their own.
        time: "rfc3339", "epoch_s", "epoch_ms" or "epoch_ns"; None: as the layout has it.
        level: "name", "lower" or "number"; None: as the layout has it.
        is_pretty: over several lines.

    Raises:
        ConfigError: a key that the layout does not have, or one that would stand twice.
    """
    if layout == "otlp":
        from .otlp import otlp_members

        return otlp_members(keys=keys or {}, static=static or {}, fields=fields, time=time, level=level)
    preset = PRESETS[layout]
    renamed = Renamed(preset, keys or {}, static or {}, fields)
    made = JsonMembers(is_pretty=is_pretty, time=time or "rfc3339")
    level_code = f"level_{level or (preset.level if isinstance(preset.level, str) else 'word')}"
    if not isinstance(preset.level, str):
        made.words = [(number, json_of(word)) for number, word in preset.level]
    for key in preset.front:
        if renamed.of[key]:
            made.member(renamed.of[key], preset.front[key], level_code)
    for key in static or {}:
        made.member(key, Static((static or {})[key]), level_code)
    if renamed.of[RECORDER]:
        made.literal(made.key(renamed.of[RECORDER]) + "true", "kept")
    made.parts.append(("fields_object" if fields else "fields", "always", ""))
    made.fields_key = made.key(fields) if fields else ""
    for key in preset.back:
        if renamed.of[key]:
            made.member(renamed.of[key], preset.back[key], level_code)
    made.names = _names(made, preset, renamed, is_one_key=bool(fields))
    return made


class Renamed:
    """The keys of a layout after `json_keys`, each of them once.

    Args:
        preset: the layout.
        keys, static, fields: as for `json_members`.

    Attributes:
        of: the new keys by the layout's own keys; empty: left out.
        taken: what each key of a line is, in words.
    """

    def __init__(
        self, preset: Preset, keys: Mapping[str, str | None], static: Mapping[str, object], fields: str | None
    ) -> None:
        own = [*preset.front, RECORDER, *preset.back, *(key for key, _ in preset.places.values())]
        self.of = {key: key for key in own}
        for name in keys:
            self.of[_own_key(name, keys[name], preset, own)] = keys[name] or ""
        self.taken: dict[str, str] = {}
        self._stems: dict[str, str] = {}
        for key in own:
            if self.of[key]:
                self._take(self.of[key], "json_keys", f"which is the layout's {key!r}")
        for key in static:
            self._take(key, "json_static", "which is of json_static")
        if fields:
            self._take(fields, "json_fields", "which is json_fields")
        self.parents = self._parents() if preset.expands_dots else []
        for parent in self.parents:
            self._check_alike(parent, "json_static")
            self._stems[parent.rstrip("_")] = parent

    def _take(self, key: str, field: str, what: str) -> None:
        self._check_alike(key, field)
        self.taken[key] = what
        self._stems[key.rstrip("_")] = key

    def _check_alike(self, key: str, field: str) -> None:
        other = self._stems.get(key.rstrip("_"))
        if other is None:
            return
        why = "no key may stand twice" if other == key else "fields that collide are told apart by underscores"
        what = self.taken.get(other, "which other keys are in")
        raise ConfigError(
            f"{field}: the key {key!r} is too much like {other!r}, {what}: {why}; rename one of them, or leave it "
            "out by json_keys",
            field=field,
            value=key,
        )

    def _parents(self) -> list[str]:
        """What a reader who expands dots has objects for."""
        found: dict[str, None] = {}
        for key in self.taken:
            parts = key.split(".", MOST_DOTS)
            for end in range(1, len(parts)):
                parent = ".".join(parts[:end])
                if parent and parent not in self.taken:
                    found[parent] = None
        return list(found)


def _own_key(name: str, value: object, preset: Preset, own: list[str]) -> str:
    """The layout's key that `json_keys` names, by that key itself or by the key that plain JSON has."""
    if name in own:
        return name
    for key in preset.front:
        source = preset.front[key]
        if isinstance(source, str) and FIRST_NAMES.get(source) == name:
            return key
    near = nearest(name, own)
    hint = f" (did you mean {near!r}?)" if near is not None else ""
    raise ConfigError(
        f"json_keys[{name!r}] = {show(value)}: the layout has no such key{hint}: it has {', '.join(own)}",
        field="json_keys",
        value=name,
    )


def _names(
    made: JsonMembers, preset: Preset, renamed: Renamed, *, is_one_key: bool
) -> list[tuple[str, str, str, str | None, str, str]]:
    """The names of fields that the layout does not show as they are."""
    found: dict[str, tuple[str, str, str, str | None, str, str]] = {}
    sources: dict[str, str] = {}
    for field in preset.places:
        key, form = preset.places[field]
        place = renamed.of[key]
        sources[place] = field
        if place:
            before = _project() if key == CLOUD_TRACE else ""
            found[field] = (field, form, "always", None, made.key(place), before)
    if is_one_key:
        return list(found.values())
    whens = {renamed.of["logger"]: "named"} if preset.front.get("logger") == "logger" else {}
    whens[renamed.of[RECORDER]] = "kept"
    for key in [*renamed.taken, *renamed.parents]:
        if key in found or key == made.stack_key:
            continue
        when = "mapped" if key in sources else whens.get(key, "always")
        found[key] = (key, "renamed", when, sources.get(key), "", "")
    return list(found.values())


def _project() -> str:
    """What Cloud Trace wants before a trace's id, where the project is known."""
    project = os.environ.get("GOOGLE_CLOUD_PROJECT")
    return f"projects/{project}/traces/" if project else ""
