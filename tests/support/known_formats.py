"""Random formatters of python-json-logger, uvicorn and django, and random `extra` for them, from a `random.Random`."""

from __future__ import annotations

import datetime
import enum
import logging
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

PLACES = ["name", "levelname", "levelno", "pathname", "filename", "module", "lineno", "funcName", "process"]
TIMES = ["asctime", "created", "msecs", "relativeCreated", "thread", "threadName", "processName"]
NAMES = ["user", "n", "env", "app.key", "é", "_private", "timestamp", "at", "日本", "", "@m", "x y", "rid"]
TEXTS = ["", "alice", "é", '\x00\x1f"\\/\n\r\t\b\f\x7f\x80\u2028', "日本", "\U0001f600!", "x" * 200, "{} %s", "_"]


class Kind(enum.Enum):
    ONE = 1


class Number(int):
    pass


class Raising:
    def __str__(self) -> str:
        raise ValueError("str")

    def __repr__(self) -> str:
        raise ValueError("repr")


def scalar(dice: random.Random) -> Any:
    numbers = [dice.randrange(-(2**63), 2**64), dice.random() * 10 ** dice.randrange(-30, 30), 0, -1, 1e16, 1e-5]
    return dice.choice([dice.choice(TEXTS), *numbers, True, False, None, math.nan, math.inf, -math.inf])


def any_value(dice: random.Random) -> Any:
    if dice.random() < 0.8:
        return scalar(dice)
    times = [datetime.datetime(2026, 1, 2, 3, 4, 5, 6), datetime.date(2026, 1, 2)]
    nested = [[1, "é", {"a": None}], {"k": [True, "\n"], 3: 1.5}, (1, 2), {"\udc00": 1}]
    others = [1 << 80, b"bytes\xff", Number(7), Kind.ONE, Kind, Decimal("1.50"), ValueError("x"), Raising(), set]
    return dice.choice([*times, *nested, *others, "\ud800"])


def any_extra(dice: random.Random) -> dict[str, Any]:
    return {name: any_value(dice) for name in dice.sample(NAMES, dice.choice([0, 1, 2, 2, 3, 5]))}


def json_formatter(dice: random.Random, *, has_times: bool) -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter

    known = [*PLACES, "message", *(TIMES if has_times else [])]
    names = dice.sample([*known, "message", "user", "n", "é", "@m"], dice.randrange(1, 7))
    names = list(dict.fromkeys(names))
    style: Any = dice.choice(["%", "{", "$", ",", "list", "none"])
    usable = [name for name in names if name.isidentifier()] or ["message"]
    fmt: Any = {
        "%": "".join(f"%({name})s " for name in usable),
        "{": "".join(f"{{{name}}}" for name in usable),
        "$": "".join(f"${{{name}}}" for name in usable if name.isascii()),
        ",": ", ".join(usable),
        "list": names,
        "none": None,
    }[style]
    options: dict[str, Any] = {}
    if dice.random() < 0.4:
        sources = dice.sample([*known, *NAMES, "exc_info", "stack_info"], dice.randrange(1, 4))
        options["rename_fields"] = {name: dice.choice(["msg", "lvl", "user", "n", "é", "new", "x"]) for name in sources}
        options["rename_fields_keep_missing"] = dice.random() < 0.2
    if dice.random() < 0.4:
        options["static_fields"] = {name: scalar(dice) for name in dice.sample([*NAMES, "levelname"], 2)}
    if dice.random() < 0.3:
        options["defaults"] = {name: scalar(dice) for name in dice.sample([*NAMES, "message"], 2)}
    if has_times and dice.random() < 0.5:
        options["timestamp"] = dice.choice([True, "at", "@timestamp", "n"])
    if dice.random() < 0.3:
        options["json_default"] = str
    if dice.random() < 0.1:
        from pythonjsonlogger.core import RESERVED_ATTRS

        options["reserved_attrs"] = [*RESERVED_ATTRS, "taskName", "rid", "at"]
    return JsonFormatter(
        fmt,
        dice.choice([None, None, "%H:%M é"]),
        style="%" if style in ("list", "none") else style,
        validate=False,
        prefix=dice.choice(["", "", "", "@cee: ", "é"]),
        json_ensure_ascii=dice.random() < 0.6,
        **options,
    )


def uvicorn_formatter(dice: random.Random, *, has_times: bool) -> logging.Formatter:
    from uvicorn.logging import AccessFormatter, DefaultFormatter

    kind = dice.choice([AccessFormatter, DefaultFormatter])
    own = ["levelprefix"] + ["client_addr", "request_line", "status_code"] * (kind is AccessFormatter)
    names = dice.choices([*own, *own, "message", *(TIMES if has_times else []), "levelname", "name"], k=4)
    style: Any = dice.choice("%{")
    spec = dice.choice(["", "", "30", "-30" if style == "%" else "<30", ".5"])
    is_text = [name not in ("created", "msecs", "relativeCreated", "thread") for name in names]
    if style == "%":
        fmt = "|".join(f"%({name}){spec if text else ''}s" for name, text in zip(names, is_text, strict=True))
    else:
        fmt = "|".join(f"{{{name}{':' + spec if text else ''}}}" for name, text in zip(names, is_text, strict=True))
    return kind(fmt, style=style, use_colors=dice.choice([False, False, False, True]))


def django_formatter(dice: random.Random, *, has_times: bool) -> logging.Formatter:
    from django.utils.log import ServerFormatter

    names = ["message", "levelname", "{server_time}", "status_code", "user"]
    if not has_times:
        names.remove("{server_time}")
    fmt = ""
    for name in dice.choices(names, k=3):
        fmt += dice.choice(["{%s} ", "{%s!s:>9} "]) % name.strip("{}")
    defaults = dice.choice([None, {"status_code": 200, "user": "nobody"}])
    return ServerFormatter(fmt, style="{", validate=False, defaults=defaults)


def access_args(dice: random.Random) -> tuple[Any, ...]:
    status = dice.choice([200, 201, 299, 404, 500, 999, 0, -5, 2**62])
    return (dice.choice(["127.0.0.1:80", "", "é"]), "GET", dice.choice(["/", "/a%20b?q=é", "/日本"]), "1.1", status)
