# What tests alone ask of the core and have it do. Nothing of this is in a build without LOGLY_BUILD=probe.

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from logly.flusher.sink cimport Sink, WriteScript
from logly.ring.gate cimport NEED_SITE, NEED_THREAD, NEED_THREAD_NAME, POST_DRAIN, POST_START, POST_SYNC, POST_WAKE
from logly.ring.ring cimport Ring
from logly.system.atomic cimport load_acquire, load_relaxed32
from logly.system.probe cimport IS_PROBE

# Of other included files:
#   control/core.pxi: Core
#   control/sink_handle.pxi: SinkHandle
#   registry/registry.pxi: MAX_SITES, MAX_TEMPLATES, program_count, site_count, site_limit, template_limit
#   ring/enter.pxi: is_as_full

if IS_PROBE:

    def inject_outcomes(SinkHandle handle not None, list outcomes not None):
        """What the sink's next writes do: each minus an errno, or the most bytes that it takes."""
        cdef WriteScript* script = <WriteScript*> calloc(1, sizeof(WriteScript) + 8 * len(outcomes))
        cdef Sink* sink
        cdef Py_ssize_t i
        if script == NULL:
            raise MemoryError
        script.count = <uint32_t> len(outcomes)
        script.outcomes = <int64_t*> (script + 1)
        for i in range(len(outcomes)):
            script.outcomes[i] = outcomes[i]
        sink = handle.core.lock_sink(handle.id)
        script, sink.script = sink.script, script
        handle.core.unlock()
        free(script)

    def sink_ids(Core core not None):
        """The sinks that the engine has, oldest first."""
        cdef Sink* sink
        cdef list ids = []
        core.lock()
        sink = core.engine.sinks
        while sink != NULL:
            ids.append(sink.id)
            sink = sink.next
        core.unlock()
        return ids

    def ring_count(Core core not None):
        """Rings that there are: one, or one per thread without a GIL."""
        cdef Ring* ring
        cdef int count = 0
        core.lock()
        ring = core.engine.rings
        while ring != NULL:
            count += 1
            ring = ring.next
        core.unlock()
        return count

    def registry_counts():
        """(templates, call sites) that have a place."""
        return (program_count - 1, site_count - 1)

    def limit_registry(templates=None, sites=None):
        """How many templates and call sites find a place from now on; None: as many as there is room for."""
        global template_limit, site_limit
        template_limit = MAX_TEMPLATES if templates is None else min(1 + <uint32_t> templates, MAX_TEMPLATES)
        site_limit = MAX_SITES if sites is None else min(1 + <uint32_t> sites, MAX_SITES)

    def new_ring_passes_for_full(Core core not None):
        """A caller waits for room in a ring that is replaced and freed meanwhile, and a later ring gets its memory.

        Returns whether the caller would go on waiting; None: no ring got that memory.
        """
        cdef Ring* freed = core.intake.ring
        cdef uint64_t ring_id = freed.id
        cdef uint64_t tail = load_acquire(&freed.positions.tail)
        cdef int i
        for i in range(1000):
            core.set_ring_size(core.intake.ring_capacity)
            core.pass_here()
            if core.intake.ring == freed:
                return is_as_full(core.intake, ring_id, tail, False)
        return None

    def published(Core core not None):
        """The arguments of the `publish` that holds now."""
        cdef uint32_t needs = load_relaxed32(&core.engine.intake.needs)
        cdef uint32_t post = load_relaxed32(&core.engine.intake.post)
        return (
            core.engine.gate.threshold, bool(needs & NEED_SITE), bool(needs & NEED_THREAD), bool(needs & NEED_THREAD_NAME),
            bool(post & POST_START), bool(post & POST_SYNC), bool(post & POST_DRAIN), bool(post & POST_WAKE),
        )
