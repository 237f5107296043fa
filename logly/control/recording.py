"""A logger's flight recorder: its settings, and a dump on demand."""

from __future__ import annotations

from logly._core import OFF, RecorderSettings, ask_for_dump, records_of_dump, set_recorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logly._core import Core
    from logly.config.schema import LoggerConfig

    from .controller import Controller
    from .plan import Plan

__all__ = ["dump_recorder", "plan_recorder", "recorder_capacity_of"]


def recorder_capacity_of(config: LoggerConfig) -> int:
    """Bytes of the flight recorder with these resolved settings: a power of two, or 0."""
    if config.recorder is None:
        return 0
    return 1 << max(int(config.recorder_size) - 1, 4095).bit_length()


def plan_recorder(plan: Plan, core: Core, config: LoggerConfig) -> None:
    """Puts the flight recorder of new settings into a plan. (`Thresholds` say from which level on it keeps.)"""
    trigger = OFF if config.recorder is None or config.recorder_trigger is None else int(config.recorder_trigger)
    settings = RecorderSettings(core, recorder_capacity_of(config), trigger, config.recorder_field)
    plan.call(set_recorder, core, settings)


def dump_recorder(controller: Controller, reason: str | None) -> int:
    """Has the sinks write what the flight recorder holds; returns how many records that were."""
    if controller.config.recorder is None:
        return 0
    number = ask_for_dump(controller.core, None if reason is None else str(reason))
    controller.flush(None)
    return records_of_dump(controller.core, number)
