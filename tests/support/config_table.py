"""Generates the tables of docs/configuration.md from the fields; ``python -m tests.support.config_table`` writes."""

from dataclasses import MISSING, Field, fields
from typing import Any

from logly.config.schema import LoggerConfig, SinkConfig
from tests.support import ROOT

PAGE = ROOT / "docs" / "configuration.md"


def table(kind: "type[LoggerConfig | SinkConfig]") -> str:
    rows = ["| field | type | unit | default | meaning |", "| --- | --- | --- | --- | --- |"]
    rows += [row(one) for one in fields(kind)]
    return "\n".join(rows)


def row(one: "Field[Any]") -> str:
    kind = getattr(one.type, "__name__", str(one.type)).replace("|", "\\|")
    doc = one.metadata["doc"].replace("|", "\\|")
    return f"| `{one.name}` | `{kind}` | {one.metadata['unit'] or '-'} | `{default(one)}` | {doc} |"


def default(one: "Field[Any]") -> str:
    if one.default is MISSING:
        return "{}"
    if one.name == "mode":
        return oct(one.default)
    if one.metadata["unit"] == "bytes" and isinstance(one.default, int):
        mib, rest = divmod(one.default, 1 << 20)
        return f"{mib} MiB" if mib and not rest else f"{one.default >> 10} KiB"
    if hasattr(one.default, "name"):
        return f"Level.{one.default.name}"
    return repr(one.default).replace("'", '"')


def marked(kind: "type[LoggerConfig | SinkConfig]") -> "tuple[str, str]":
    return f"<!-- {kind.__name__}: begin, generated -->", f"<!-- {kind.__name__}: end -->"


def with_tables(page: str) -> str:
    for kind in (LoggerConfig, SinkConfig):
        begin, end = marked(kind)
        before, _, rest = page.partition(begin)
        after = rest.partition(end)[2]
        page = f"{before}{begin}\n{table(kind)}\n{end}{after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
