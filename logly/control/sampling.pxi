# The settings of an engine's sampling. Its table is made when it is switched on first, and stays: log calls may be in it.

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc

from logly.ring.gate cimport NEED_SAMPLING
from logly.ring.sampler cimport Sampler
from logly.system.atomic cimport store_relaxed, store_relaxed32, store_release32

# Of other included files:
#   control/core.pxi: Core


def make_sampler(Core core not None):
    """Called before `use_sampling`, because it needs memory."""
    if core.sampler == NULL:
        core.sampler = <Sampler*> calloc(1, sizeof(Sampler))
    if core.sampler == NULL:
        raise MemoryError


def use_sampling(Core core not None, uint64_t first, uint64_t then, int never_from):
    """In each second the first records of a kind pass, and then each one after so many others. `never_from`: a level."""
    store_relaxed(&core.sampler.first, first)
    store_relaxed(&core.sampler.then, then)
    store_relaxed32(<uint32_t*> &core.sampler.never_from, <uint32_t> never_from)
    core.lock()
    # Release: a thread that sees the need also sees the table.
    store_release32(&core.engine.intake.needs, core.engine.intake.needs | NEED_SAMPLING)
    core.unlock()


def end_sampling(Core core not None):
    """All records pass from now on. What is untold stays so until the sampling goes on, or until the end."""
    core.lock()
    store_relaxed32(&core.engine.intake.needs, core.engine.intake.needs & ~<uint32_t> NEED_SAMPLING)
    core.unlock()
