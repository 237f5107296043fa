"""What a field of `LoggerConfig` or `SinkConfig` is made of: its default, check, unit and documentation."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from dataclasses import field, fields
    from typing import Any

    from .checks import Check
    from .schema import LoggerConfig, SinkConfig
else:
    from .lazy_dataclass import field, fields

__all__ = ["checked", "own_copy", "own_names", "setting", "table"]


def setting(default: "Any", check: "Check", unit: str, doc: str) -> "Any":
    """A field of a dataclass."""
    return field(default=default, metadata={"check": check, "unit": unit, "doc": doc})


def table(check: "Check", doc: str) -> "Any":
    """A field whose value is a dict, empty by default."""
    return field(default_factory=dict, metadata={"check": check, "unit": "", "doc": doc})


def checked(config: "LoggerConfig | SinkConfig", levels: "Mapping[str, int]") -> "dict[str, Any]":
    """The values of all fields, each checked and in plain form."""
    return {one.name: one.metadata["check"](one.name, getattr(config, one.name), levels) for one in fields(config)}


def own_copy(value: "Any") -> "Any":
    """The same value; of a dict, which its owner may change, a copy."""
    return dict(value) if isinstance(value, dict) else value


def own_names(names: "Any") -> "Any":
    """The same names; of a list, which its owner may change, a copy."""
    return list(names) if isinstance(names, list) else names
