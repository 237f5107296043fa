"""What is said of an error that a sink's filter, transform or function raises. Imported with the first such sink."""

from __future__ import annotations

from logly.record import advice

__all__ = ["with_place"]


def with_place(trouble: Exception, setting: str, sink_id: int) -> Exception:
    """The error, with a note that names the setting and the sink, and where it is about a `Record`, what to write."""
    try:
        lost = "has not taken the record" if setting == "function" else "failed, the record is not written"
        note = f"the {setting} of sink {sink_id} {lost}"
        hint = advice(trouble)
        note = f"{note}: {hint}" if hint else note
        if note not in getattr(trouble, "__notes__", ()):  # the program may raise the same object again
            trouble.add_note(note)
    except RecursionError:
        raise
    except Exception:  # noqa: BLE001  # a class of the program's own may do anything
        pass
    return trouble
