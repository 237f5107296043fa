# What tests alone ask of the core and have it do. Nothing of this is in a build without LOGLY_BUILD=probe.

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

from logly.flusher.loop cimport engine_pass
from logly.flusher.sink cimport Sink, WriteScript
from logly.flusher.state cimport Engine
from logly.layout.line cimport MAX_SITES
from logly.layout.message cimport MAX_TEMPLATES
from logly.layout.redaction_rules cimport Redaction
from logly.layout.secret_text cimport hide_in_text
from logly.layout.trace cimport MAX_PLACES
from logly.registry.numbers cimport numbers_given
from logly.ring.gate cimport NEED_SITE, NEED_THREAD, NEED_THREAD_NAME, POST_DRAIN, POST_START, POST_SYNC, POST_WAKE
from logly.ring.ring cimport Ring, ring_free, ring_new
from logly.system.atomic cimport load_acquire, load_relaxed32
from logly.system.probe cimport IS_PROBE
from logly.text.buffer cimport Buffer, buffer_free, buffer_init

# Of other included files:
#   control/core.pxi: Core
#   control/redaction.pxi: Redactor
#   control/rings.pxi: enter_ring_of_thread
#   control/sink_handle.pxi: SinkHandle
#   registry/places.pxi: place_bytes
#   registry/retired.pxi: awaited_marks, collect_retired, enter_registry, next_look_ns, place_numbers, retired_places,
#       retired_programs, retired_sites, site_numbers, template_numbers
#   registry/sites.pxi: code_watches
#   registry/templates.pxi: alias_count, percent_by_text, templates_by_text
#   ring/enter.pxi: is_as_full, leave_ring
#   system/threads.pxi: SystemLock

cdef extern from *:
    """
    #if LOGLY_PROBE
    #define LOGLY_SET_TEST_CLOCK(ns) (logly_test_clock_ns = (ns))
    #else
    #define LOGLY_SET_TEST_CLOCK(ns)
    #endif
    """
    void set_test_clock "LOGLY_SET_TEST_CLOCK"(int64_t ns) noexcept

if IS_PROBE:

    def set_recent_clock(ns):
        """What light loggers and the sampling take for the monotonic time; None: the real one."""
        set_test_clock(0 if ns is None else ns)

    def hidden_text(Redactor redactor not None, bytes text not None, int rounds=1):
        """The text without secrets, or None where it has none, and how many bytes were looked at."""
        cdef char* copy = <char*> malloc(len(text) + 1)  # ends where its memory ends, and begins at an odd address
        cdef size_t size = <size_t> len(text)
        cdef uint64_t steps = 0
        cdef Buffer out
        cdef bint found = False
        cdef int i
        if copy == NULL:
            raise MemoryError
        memcpy(copy + 1, <const char*> text, len(text))
        buffer_init(&out)
        with nogil:
            for i in range(rounds):
                out.size = 0
                found = hide_in_text(&out, &redactor.redaction.keys, copy + 1, size, &steps)
        made = out.data[: out.size] if found else None
        buffer_free(&out)
        free(copy)
        return made, steps

    def redaction_room(Core core not None):
        """The bytes of memory that copies of records without secrets lie in."""
        cdef Redaction* redaction = core.engine.redaction
        if redaction == NULL:
            return 0
        return (
            redaction.record.capacity + redaction.text_record.capacity + redaction.message.capacity
            + redaction.scratch.capacity
        )

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

    def set_repeat_time(SinkHandle handle not None, int64_t now_ns):
        """From what is logged now on, the sink's repeats are counted as if it was `now_ns`; one pass tells what is due then.

        A pass before takes what was logged so far, with the time before.
        """
        cdef Engine* engine = handle.core.engine
        cdef Sink* sink = handle.core.lock_sink(handle.id)
        with nogil:
            engine_pass(engine)
            sink.clock_ns = now_ns
            engine_pass(engine)
            handle.core.unlock()

    def limit_places(Core core not None):
        """The call sites of light loggers that the engine knows: (address of the code object, instruction)."""
        return list(core.limit_sites)

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
        """(templates, call sites) that have a number."""
        return (numbers_given(&template_numbers), numbers_given(&site_numbers))

    def place_counts():
        """(entries of tracebacks that have a number, bytes of the texts of those that calls find)"""
        return (numbers_given(&place_numbers), place_bytes)

    def limit_registry(templates=None, sites=None, places=None):
        """How many templates, call sites and places are numbered from now on; None: as many as there is room for."""
        place_numbers.limit = MAX_PLACES if places is None else min(1 + <uint32_t> places, MAX_PLACES)
        template_numbers.limit = MAX_TEMPLATES if templates is None else min(1 + <uint32_t> templates, MAX_TEMPLATES)
        site_numbers.limit = MAX_SITES if sites is None else min(1 + <uint32_t> sites, MAX_SITES)

    def alias_counts():
        """(str objects by which templates are found, code objects that have call sites)"""
        return (alias_count, len(code_watches))

    def has_template(str text, bint percent=False):
        """Whether the message has a number; `percent`: as a template of `logging`."""
        return text in (percent_by_text if percent else templates_by_text)

    def has_site(code):
        """Whether a call site of the code object has a number."""
        return <uint64_t> <PyObject*> code in code_watches

    def collect_names():
        """Gives back the numbers of retired names, if every engine has passed their records. Returns whether none is left."""
        global next_look_ns
        cdef SystemLock registry = enter_registry()
        try:
            next_look_ns = 0
            collect_retired()
            return awaited_marks is None and retired_programs == NULL and retired_sites == NULL and retired_places == NULL
        finally:
            registry.give()

    def is_as_full_with_another(Core core not None):
        """Whether a caller that found this thread's ring full goes on waiting: (as it is, once another ring has its memory)."""
        cdef Ring* ring = enter_ring_of_thread(core)
        cdef Ring* other
        cdef uint64_t ring_id, tail
        if ring == NULL:
            raise MemoryError
        ring_id = ring.id
        tail = load_acquire(&ring.positions.tail)
        leave_ring(core.intake, ring)
        before = is_as_full(core.intake, ring_id, tail, False)
        # Both are empty, so the other one would differ in nothing else.
        other = ring_new(ring.capacity, tail)
        if other == NULL:
            raise MemoryError
        ring.id = other.id
        ring_free(other)
        return before, is_as_full(core.intake, ring_id, tail, False)

    def published(Core core not None):
        """The arguments of the `publish` that holds now."""
        cdef uint32_t needs = load_relaxed32(&core.engine.intake.needs)
        cdef uint32_t post = load_relaxed32(&core.engine.intake.post)
        return (
            core.engine.gate.threshold, bool(needs & NEED_SITE), bool(needs & NEED_THREAD), bool(needs & NEED_THREAD_NAME),
            bool(post & POST_START), bool(post & POST_SYNC), bool(post & POST_DRAIN), bool(post & POST_WAKE),
        )
