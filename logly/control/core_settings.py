"""The settings of a logger that the core must have, in the form in which it has them."""

from __future__ import annotations

from logly._core import (
    OFF,
    Encoders,
    Redactor,
    end_sampling,
    make_sampler,
    use_encoders,
    use_redaction,
    use_sampling,
    use_time_source,
)
from logly.config.hidden_names import DEFAULT_KEYS

from .context_sources import plan_sources
from .recording import plan_recorder
from .spooling import ring_capacity_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logly._core import Core
    from logly.config.schema import LoggerConfig

    from .plan import Plan

__all__ = ["plan_core_settings"]


# No function here has a cell variable, as in plan.py.
def plan_core_settings(plan: Plan, core: Core, config: LoggerConfig) -> None:
    plan.may_fail.append((core.configure, numbers_of(config)))
    plan_recorder(plan, core, config)
    plan_sampling(plan, core, config)
    plan_encoders(plan, core, config)
    plan_sources(plan, core, config)
    plan_redaction(plan, core, config)
    plan.call(use_time_source, core, config.time_source)


def numbers_of(config: LoggerConfig) -> tuple[int, int, int, bool, int, int]:
    """The arguments of `Core.configure`."""
    return (
        OFF if config.flush_level is None else int(config.flush_level),
        ring_capacity_of(config),
        int(config.async_flush_interval * 1_000_000),
        config.overflow == "drop",
        int(config.max_message_bytes),
        int(config.stall_timeout * 1_000_000_000),
    )


def plan_encoders(plan: Plan, core: Core, config: LoggerConfig) -> None:
    plan.call(use_encoders, core, Encoders(dict(config.encode)) if config.encode else None)


def plan_sampling(plan: Plan, core: Core, config: LoggerConfig) -> None:
    if config.sampling is None:
        plan.call(end_sampling, core)
        return
    never_from = OFF if config.sampling_level is None else int(config.sampling_level)
    plan.may_fail.append((make_sampler, (core,)))
    plan.call(use_sampling, core, *config.sampling, never_from)


def plan_redaction(plan: Plan, core: Core, config: LoggerConfig) -> None:
    names = DEFAULT_KEYS if config.redact is True else tuple(config.redact or ())
    keys = tuple(dict.fromkeys((*DEFAULT_KEYS, *names))) if config.redact_text else None
    redactor = Redactor(names, keys) if names or keys else None
    plan.call(use_redaction, core, redactor)
    plan.set(core, diagnosis=(names, keys or names or None) if config.diagnose else None)
