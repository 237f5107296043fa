"""Delivery of what dead processes left in their spools, by a logger's sinks or by `python -m logly recover`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from logly._core import DeadSpool, Lifeline, pause_draining, remove_finished_spools, spool_adopt
from logly.config.lazy_dataclass import replace
from logly.spool.spools import dead_spools, finish_writes_of, unlock
from logly.system.unpatched import monotonic

from .batch_sink import BatchSink, hold
from .controller import Controller

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logly._core import Core
    from logly.config.schema import LoggerConfig, SinkConfig

__all__ = ["Recovered", "deliver", "recover_dead", "send_dead"]

LOOK_S = 0.2
"""How often a delivery checks whether its only reader is gone, and whether its time is over."""


class Recovered(NamedTuple):
    """The result of a delivery."""

    records: int
    is_complete: bool
    has_moved: bool
    """Whether any sink has written anything."""
    has_kept: bool
    """Whether the spool stays because of what its flight recorder had kept."""
    late: int
    """How many records its flight recorder had kept, and the sinks have got."""
    is_held: bool
    """Whether the sinks have all of it, and the spool stays for others."""


def deliver(
    file: DeadSpool,
    config: LoggerConfig,
    sinks: list[SinkConfig],
    timeout: float,
    on_error: Callable[[Exception], None],
    *,
    keeps: bool = False,
    takes_kept: bool = True,
    holds: bool = False,
    of_logger: Sequence[BatchSink] = (),
    is_stopped: Callable[[], bool] | None = None,
) -> Recovered:
    """Have sinks write what a dead process left, then remove the spool.

    Each sink begins where the dead process's own sink stopped. Progress is kept in the spool, as the dead
    process did it, so this process may be killed in here without harm. (Of a copy, nothing is kept: a recovery that is
    killed begins anew.)

    Args:
        file: the spool, locked.
        config: settings of the logger; layouts and time zone follow from them.
        sinks: settings of the sinks (resolved).
        timeout: seconds after which the rest is left for the next recovery.
        on_error: called with each error.
        keeps: the spool stays, and others may recover it meanwhile; it has been opened as a copy.
        takes_kept: what the flight recorder had kept is written, too. If not, a spool that has some of that stays.
        holds: the spool stays for sinks that get it later, and nobody waits for these.
        of_logger: the logger's own sinks with these functions, where they are batch sinks. A function is called by one
            thread at a time. `timeout` begins anew as long as they take something.
        is_stopped: asked now and then; True: the rest is left for the next recovery.

    Raises:
        SpoolError: a record in the spool is damaged, and nothing was delivered.
    """
    is_gone = False

    def report(trouble: Exception) -> None:
        nonlocal is_gone
        # If the only reader is gone, nobody will read the rest, however long this tries.
        is_alone = len(sinks) == 1 and sinks[0].fd is not None
        is_gone = is_gone or (is_alone and isinstance(trouble, BrokenPipeError))
        on_error(trouble)

    try:
        file.check()
        if keeps:
            unlock(file)
        finish_writes_of(file)
    except BaseException:
        file.close()
        raise
    file.stays = True  # the flusher must not remove it before the files are synced
    controller = Controller(
        "recovery",
        replace(
            config,
            level=0,  # what a sink without a level of its own gets was decided when it was logged
            level_file=None,
            spool=None,
            spool_fsync=None,
            auto_sink=False,
            overflow="block",
            stall_timeout=86_400,
            on_error=report,
        ),
        is_recovery=True,
    )
    lifeline = Lifeline(controller)  # closes the controller if the code below does not get that far
    is_safe = is_held = False
    deadline = monotonic() + timeout
    try:
        for sink in sinks:
            controller._add(sink)
        _join(controller, of_logger)
        if holds:
            controller.add_own(partial(hold, controller, report))
        for added in controller.sinks.values():
            added.is_durable = file.is_synced or config.spool_fsync is not None
        starts = [
            (sink.id, os.fsencode(sink.path) if sink.path is not None else None, sink.is_exactly_recovered)
            for sink in controller.sinks.values()
        ]
        count = spool_adopt(controller.core, file, starts, _heading(file) if takes_kept else None)
        controller.flusher.start()
        renews_s = timeout if of_logger else 0.0
        is_over = lambda: is_gone or (is_stopped is not None and is_stopped())  # noqa: E731
        is_held = _await_sinks(controller.core, deadline, renews_s, is_over, holds=holds)
        late = controller.core.stats().written_late
        has_moved = any(added.handle.stats().written for added in controller.sinks.values())
        # The files are synced before the spool is removed.
        is_safe = True
        for added in controller.sinks.values():
            is_safe = added.make_durable() and is_safe
    finally:
        remove_finished_spools(controller.core, False)
        controller.core.leave_spools(False)  # unwritten records are discarded here; the spool still has them
        controller.close(max(0.0, deadline - monotonic()))
        is_done = file.is_finished and is_safe
        has_kept = not takes_kept and file.has_kept
        file.stays = keeps
        (DeadSpool.remove if is_done and not keeps and not has_kept else DeadSpool.close)(file)
        del lifeline
    return Recovered(count, is_done, has_moved, has_kept, late, is_held)


def _join(controller: Controller, of_logger: Sequence[BatchSink]) -> None:
    """Has the sinks call each function in turn with the logger's own sinks."""
    for added, own in zip(controller.sinks.values(), of_logger, strict=False):
        assert isinstance(added, BatchSink)
        added.outlet.turn = own.outlet.turn


def _await_sinks(core: Core, deadline: float, renews_s: float, is_over: Callable[[], bool], *, holds: bool) -> bool:
    """Waits until the sinks have everything. Returns True when all have it but `HeldSink`.

    `renews_s`: the deadline begins anew as long as they take something.
    """
    progress = core.progress()
    while True:
        look_until = min(monotonic() + LOOK_S, deadline)
        if core.flush(max(0.0, look_until - monotonic())):
            return False
        now = monotonic()
        if renews_s and progress != (progress := core.progress()):
            deadline = now + renews_s
        if is_over() or now >= deadline:
            return False
        if holds and now < look_until:
            return True


def _heading(file: DeadSpool) -> str:
    """The end of the line before what a flight recorder had kept: of which process it is, and when that died."""
    latest = datetime.fromtimestamp(file.last_ns // 1_000_000 / 1000, UTC).isoformat(timespec="milliseconds")
    return f" of process {file.process}, which died after {latest.removesuffix('+00:00')}Z"


def recover_dead(
    controller: Controller, base: str, sinks: list[SinkConfig], deadline: float | None, *, holds: bool = False
) -> bool:
    """Have a logger's sinks write what dead processes left. Return False if another try with more time may help.

    Args:
        controller: the logger's controller; the logger's own records wait meanwhile.
        base: the configured path of the spool.
        sinks: settings of the sinks.
        deadline: as `system.unpatched.monotonic` counts; None: each spool gets `Controller.patience_s`.
        holds: the spools stay, for batch sinks that get them later.
    """
    patience_s = controller.patience_s
    given = controller.settings()  # unresolved: a level in them may be the name of an added level
    is_cut_short = False
    try:
        pause_draining(controller.core, patience_s)
        for file in dead_spools(base, controller.report):
            left = patience_s if deadline is None else max(0, deadline - monotonic())
            pause_draining(controller.core, left)
            try:
                with file:
                    done = deliver(file, given, sinks, min(left, patience_s), controller.report, holds=holds)
                # Try again soon, but not if a sink has got a part: the sink would get that part again and again.
                is_unmoved = not (done.is_complete or done.has_moved or done.is_held)
                is_cut_short = is_cut_short or (is_unmoved and left < patience_s)
            except RecursionError:  # the next record tries again
                raise
            except Exception as trouble:  # noqa: BLE001  # go on with the other spools
                controller.report(trouble)
    finally:
        pause_draining(controller.core, 0)
    return not is_cut_short


def send_dead(controller: Controller, base: str, sinks: list[BatchSink], is_stopped: Callable[[], bool]) -> bool:
    """Have a logger's batch sinks send what dead processes left. Return False if something is left.

    Called on a thread of its own. It ends at the first spool that the other side does not take: that one is down.
    """
    configs = [sink.for_recovery() for sink in sinks]
    for file in dead_spools(base, controller.report):
        try:
            with file:
                done = deliver(
                    file,
                    controller.settings(),
                    configs,
                    controller.patience_s,
                    controller.report,
                    of_logger=sinks,
                    is_stopped=is_stopped,
                )
        except Exception as trouble:  # noqa: BLE001  # go on with the other spools
            controller.report(trouble)
            continue
        if not done.is_complete:
            return False
    return True
