"""`JsonFormatter` of python-json-logger: which keys its lines have, in which order, and where the values come from.

It fills a dict (`BaseJsonFormatter.add_fields`), which `json.dumps` writes. So a key that comes twice keeps its first
place and gets its last value. Here the dict is filled with what the values are made from.
"""

from __future__ import annotations

import json
import logging
import math

from logly._core import FIELD_KINDS

from .format_parts import ATTRIBUTES, NotServed, kind_of_value, literal
from .formatter_checks import UNSERVED
from .known_formatters import check_package
from .shown_extra import ShownExtra

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .format_parts import Part

__all__ = ["JsonFormat"]

OF_A_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
MOST_NAMES = 200

SAMPLES = {
    "logly_text": '\x00\x1f "\\/\b\f\n\r\t\x7f\x80\u00e9\u2028\ud7ff\ufffd\U0001f600',
    "logly_n": -(1 << 63),
    "logly_u": (1 << 64) - 1,
    "logly_real": 1e16,
    "logly_nan": math.nan,
    "logly_inf": -math.inf,
    "logly_none": None,
    "logly_true": True,
    "logly_false": False,
    "logly_\u00e9": 0.1,
}


class JsonFormat:
    """What a formatter shows.

    Attributes:
        prefix: what its lines begin with.
        is_ascii: whether all other characters are escaped.
        attributes: the attributes of a record that it shows.
        parts, missing, options: for `logging_layout`.
        extra: what it shows of `extra`.
        samples: fields of `extra` for validation.
    """

    def __init__(self, formatter: Any) -> None:
        _check_settings(formatter)
        self._rename: dict[str, str] = formatter.rename_fields
        self._skip = frozenset(formatter._skip_fields)
        self.prefix: str = formatter.prefix
        self.is_ascii: bool = formatter.json_ensure_ascii
        self.attributes: set[str] = set()
        self.missing: dict[tuple[str, str, str], str] = {}
        self._kinds: dict[str, int] = {}
        self._keys: dict[str, Part] = {}
        self._fill(formatter)
        timestamp = formatter.timestamp
        self._timestamp = self._renamed("timestamp" if timestamp is True else timestamp) if timestamp else None
        self._refused: set[str] = set()
        self._use_names(formatter)
        self._make_parts()

    def dumps(self, value: object) -> str:
        return json.dumps(value, ensure_ascii=self.is_ascii)

    def _renamed(self, name: str) -> str:
        return self._rename.get(name, name)

    # ---- the keys, in their order

    def _fill(self, formatter: Any) -> None:
        for name in getattr(formatter, "defaults", None) or {}:
            self._put_value(name, formatter.defaults[name])
        for name in formatter._required_fields:
            if name in UNSERVED or (name in OF_A_RECORD and name not in ATTRIBUTES):
                raise NotServed(f"the format names {name}")
            if name in OF_A_RECORD:
                self.attributes.add(name)
                self._keys[self._renamed(name)] = ("attribute", name, "", "", False)
            else:
                self._put_field(name, "null")
        for name in formatter.static_fields:
            self._put_value(name, formatter.static_fields[name])

    def _put_value(self, name: str, value: object) -> None:
        """A value of the formatter's own, which a field of `extra` may replace."""
        if not kind_of_value(value):
            raise NotServed(f"the formatter's {name} is a {type(value).__qualname__}")
        text = self.dumps(value)
        if name in self._skip or name.startswith("_"):
            self._keys[self._renamed(name)] = literal(text)
        else:
            self._put_field(name, text)

    def _put_field(self, name: str, missing: str) -> None:
        self._keys[self._renamed(name)] = ("field", name, "", "", False)
        self._kinds[name] = FIELD_KINDS
        self.missing[name, "", ""] = missing

    # ---- the names in `extra`

    def _use_names(self, formatter: Any) -> None:
        rename = self._rename
        shown = {part[1]: key for key, part in zip(self._keys, self._keys.values(), strict=True) if part[0] == "field"}
        if shown.keys() != self._kinds.keys():
            raise NotServed("two of the formatter's fields have the same key")
        self._traces = (self._renamed("exc_info"), self._renamed("stack_info"))
        if len(set(self._traces)) < 2 or not self._keys.keys().isdisjoint(self._traces):
            raise NotServed("two of the formatter's fields have the same key")
        if not self._keys or self._timestamp in self._traces:
            raise NotServed("the formatter shows no field of its own")
        fixed = {*self._keys, *self._traces, *filter(None, [self._timestamp])}
        if getattr(formatter, "rename_fields_keep_missing", False):
            more = set(rename.values()) - self._keys.keys() - {self._timestamp}
            if more:
                raise NotServed(f"the formatter shows {min(more)} where it is missing")
        targets = list(rename.values())
        for name in {*fixed, *rename, *targets}:
            if name in self._skip or name in self._kinds or name.startswith("_"):
                continue
            # What it is called may be another key, too; a dict then has one of the two.
            if self._renamed(name) in fixed or name in targets or targets.count(self._renamed(name)) > 1:
                self._refused.add(name)
        skipped = self._skip - self._kinds.keys() - OF_A_RECORD
        free = [name for name in rename if name not in self._refused and name not in self._skip | self._kinds.keys()]
        self.skipped = sorted(skipped | self._kinds.keys())
        self.renamed = {name: self.dumps(rename[name]) for name in free if not name.startswith("_")}
        self.options: dict[str, Any] = {
            "is_ascii": self.is_ascii,
            "skipped": self.skipped,
            "renamed": self.renamed,
        }
        self.extra = ShownExtra(
            self._kinds,
            frozenset(self._kinds),
            shows_all=True,
            skipped=skipped,
            refused=frozenset(self._refused),
            encoder=_encoder(formatter),
        )
        more_names = list(self.renamed)[:10]
        self.samples = [{**SAMPLES, **dict.fromkeys(more_names, "renamed")}, {"_hidden": 1, "logly_last": ""}]

    # ---- the parts

    def _make_parts(self) -> None:
        stamp: Part = ("timestamp", "", "", "", False)
        if self._timestamp in self._keys:
            self._keys[str(self._timestamp)] = stamp
        if len(self._keys) > MOST_NAMES or len(self.skipped) > MOST_NAMES:
            raise NotServed(f"the formatter has more than {MOST_NAMES} fields")
        self.parts: list[Part] = [literal(self.prefix + "{")]
        for key in self._keys:
            separator = ", " if len(self.parts) > 1 else ""
            self.parts += [literal(f"{separator}{self.dumps(key)}: "), self._keys[key]]
        exception, stack = (f", {self.dumps(key)}: " for key in self._traces)
        self.parts += [("exception", exception, "", "", False), ("stack", stack, "", "", False)]
        self.parts.append(("extra", "", "", "", False))
        if self._timestamp is not None and self._timestamp not in self._keys:
            self.parts += [literal(f", {self.dumps(self._timestamp)}: "), stamp]
        self.parts.append(literal("}"))


def _check_settings(formatter: Any) -> None:
    own = vars(formatter)
    _check_names(formatter)
    if type(own.get("prefix")) is not str or type(own.get("json_ensure_ascii")) is not bool:
        raise NotServed("the formatter's prefix is no str, or its json_ensure_ascii no bool")
    if own.get("json_indent") is not None:
        raise NotServed("the formatter indents")
    if own.get("exc_info_as_array") or own.get("stack_info_as_array"):
        raise NotServed("the formatter shows tracebacks as arrays")
    shown = OF_A_RECORD.difference(formatter._skip_fields)
    if shown:
        raise NotServed(f"the formatter shows {min(shown)} beside its own fields")
    if formatter.rename_fields and not hasattr(type(formatter), "_get_rename"):
        raise NotServed("the formatter renames fields after all others")  # before python-json-logger 3
    timestamp = own.get("timestamp")
    if type(timestamp) is not str and timestamp is not True and timestamp is not False:
        raise NotServed("the formatter's timestamp is neither a bool nor a str")
    _check_encoder(formatter, has_time=bool(timestamp))


def _check_names(formatter: Any) -> None:
    own = vars(formatter)
    lists = [own.get("_required_fields"), own.get("_skip_fields")]
    dicts = [own.get("rename_fields"), own.get("static_fields"), own.get("defaults", {})]
    # Before python-json-logger 3.1 the names to skip are the keys of a dict.
    if type(lists[0]) is not list or type(lists[1]) not in (set, dict) or any(type(one) is not dict for one in dicts):
        raise NotServed("the formatter's fields are no list, set or dict")
    names = [name for group in (*lists, *dicts) for name in group] + list(dicts[0].values())
    if any(type(name) is not str for name in names):
        raise NotServed("the formatter has a field whose name is no str")
    if any("\ud800" <= character <= "\udfff" for character in "".join(names)):
        raise NotServed("the format has a lone surrogate")


def _check_encoder(formatter: Any, *, has_time: bool) -> None:
    own = vars(formatter)
    serializer: Any = own.get("json_serializer")
    if serializer is not json.dumps or serializer.__code__.co_filename != json.__file__:
        raise NotServed("the formatter's json_serializer is not json.dumps")
    encoder: Any = formatter.json_encoder
    kept = ("__init__", "encode", "iterencode", "item_separator", "key_separator")
    if encoder is not None:
        if not isinstance(encoder, type) or not issubclass(encoder, json.JSONEncoder):
            raise NotServed("the formatter's json_encoder is no json.JSONEncoder")
        for name in kept:
            if getattr(encoder, name) is not getattr(json.JSONEncoder, name):
                raise NotServed(f"the formatter's json_encoder has its own {name}")
    check_package(json.JSONEncoder, formatter)
    if has_time:
        full_name = (getattr(encoder, "__module__", None), getattr(encoder, "__qualname__", None))
        if full_name != (type(formatter).__module__, "JsonEncoder") or own.get("json_default") is not None:
            raise NotServed("the formatter shows the time by an encoder that is not its package's own")
        check_package(formatter.json_encoder, formatter)


def _encoder(formatter: Any) -> tuple[Callable[[Any], str], object]:
    default, encoder, is_ascii = formatter.json_default, formatter.json_encoder, formatter.json_ensure_ascii

    def encode(value: Any) -> str:
        return json.dumps(value, default=default, cls=encoder, ensure_ascii=is_ascii)

    return encode, (default, encoder, is_ascii)
