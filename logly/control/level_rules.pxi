# Which levels are on, by name: what a logger and its sinks ask for, and the thresholds that follow for log calls.

from libc.stdint cimport INT32_MAX, int32_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from logly.flusher.directives cimport LEVEL_UNSAID, Directive, level_for
from logly.flusher.level_watch cimport level_file_differs
from logly.flusher.rules cimport RuleStep
from logly.layout.levels cimport LEVEL_INFO
from logly.ring.gate cimport intake_wake
from logly.system.atomic cimport exchange32, load_relaxed32
from logly.text.buffer cimport Text

# Of other included files:
#   control/core.pxi: Core
#   text/owned_text.pxi: copy_text, utf8


cdef class LevelRules:
    """What a logger or a sink asks for: a level for names without a directive, and directives. It never changes.

    An object brings the memory that its first use by a sink or a logger needs, so that this is a step of a change that does not
    fail. Another use of the same object may find no memory.

    Args:
        level: where no directive matches. LEVEL_UNSAID: nothing is asked for there.
        directives: level by name; `OFF` is a level too. The names are not empty.
    """

    def __cinit__(self, int level, dict directives not None):
        cdef dict levels = {}
        cdef Directive* directive
        self.directives.level = level
        self.step = <RuleStep*> calloc(1, sizeof(RuleStep))
        if self.step == NULL:
            raise MemoryError
        if not directives:
            return
        for name in directives:
            levels[utf8(name)] = directives[name]
        self.directives.directive = <Directive*> calloc(len(levels), sizeof(Directive))
        if self.directives.directive == NULL:
            raise MemoryError
        for encoded in sorted(levels):
            directive = &self.directives.directive[self.directives.count]
            directive.level = levels[encoded]
            directive.name = copy_text(encoded)
            self.directives.count += 1

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.directives.count):
            free(<void*> self.directives.directive[i].name.data)
        free(self.directives.directive)
        free(self.step)

    def level_for(self, str name not None):
        """The level for a logger or a module of this name, or LEVEL_UNSAID."""
        cdef bytes data = utf8(name)
        cdef Text text = Text(data, <uint32_t> len(data))
        return level_for(&self.directives, &text)


cdef class Thresholds:
    """From which level on calls are logged, by the logger's name or the call site's module. It never changes.

    A sink wants a record when the record's level is at least the one that the sink asks for. A sink that asks for none wants what
    the logger's level lets through, and where the logger has no level either, INFO and above.

    Args:
        logger: the logger's rules.
        sinks: those of each sink that gets records at present.
        is_on: False: everything is off.
        kept_from: from which level on what is not written is for the flight recorder; `OFF`: there is none.
        bypass: the lowest level that a sink asks for for which the logger's level does not hold; `OFF`: there is none.

    Attributes:
        least: the lowest of all thresholds.
        varies: whether the threshold depends on the name.
    """

    def __init__(
        self, LevelRules logger not None, list sinks not None, bint is_on, int kept_from=INT32_MAX, int bypass=INT32_MAX
    ):
        cdef LevelRules rules
        cdef int32_t said
        self.logger = logger
        self.is_off = not is_on
        self.kept_from = kept_from if is_on else INT32_MAX
        self.bypass = bypass
        self.detailed = []
        self.any_unsaid = False
        self.least_said = INT32_MAX
        for rules in sinks:
            said = rules.directives.level
            if rules.directives.count:
                self.detailed.append(rules)
            elif said == LEVEL_UNSAID:
                self.any_unsaid = True
            elif said < self.least_said:
                self.least_said = said
        self.varies = is_on and (logger.directives.count > 0 or len(self.detailed) > 0)
        self.least = self.least_of_all()

    cdef int32_t of(self, const Text* name) noexcept:
        """The threshold for this name. (For the empty one: that of all names without a directive.)"""
        cdef LevelRules rules
        cdef int32_t asked
        cdef int32_t level = level_for(&self.logger.directives, name)
        cdef int32_t unsaid = LEVEL_INFO if level == LEVEL_UNSAID else level
        cdef int32_t least = self.bypass
        if self.is_off:
            return INT32_MAX
        if self.any_unsaid:
            least = min(least, unsaid)
        least = min(least, max(self.least_said, level))
        for rules in self.detailed:
            asked = level_for(&rules.directives, name)
            least = min(least, unsaid if asked == LEVEL_UNSAID else max(asked, level))
        return least

    def threshold_for(self, str name not None):
        """The threshold for a logger or a module of this name."""
        cdef bytes data = utf8(name)
        cdef Text text = Text(data, <uint32_t> len(data))
        return self.of(&text)

    # Any name has the threshold of the longest name in a directive that it is, or is below. So these names are all there are.
    cdef int32_t least_of_all(self) except? -2:
        cdef Text none = Text(b"", 0)
        cdef int32_t least = self.of(&none)
        cdef LevelRules rules
        cdef uint32_t i
        if self.varies:
            for rules in [self.logger, *self.detailed]:
                for i in range(rules.directives.count):
                    least = min(least, self.of(&rules.directives.directive[i].name))
        return least


def use_level_file(Core core not None, bytes path):
    """From now on the flusher looks at this file once a second, and has `LevelLayers.follow` called when it has changed. None:
    at no file.
    """
    cdef char* copy = <char*> copy_text(path).data if path is not None else NULL
    core.lock()
    copy, core.engine.level_file.path = core.engine.level_file.path, copy
    if core.engine.level_file.path != NULL:
        level_file_differs(core.engine)
    core.engine.level_file.look_due_ns = 0
    core.unlock()
    free(copy)
    intake_wake(&core.engine.intake)


def level_file_has_changed(Core core not None):
    """Whether the level file has changed since the last call."""
    cdef bint has_changed
    core.lock()
    has_changed = core.engine.level_file.has_changed
    core.engine.level_file.has_changed = False
    core.unlock()
    return has_changed


def look_again_at_level_file(Core core not None):
    """The flusher is to find at its next look that the file has changed: nobody could read it now."""
    core.lock()
    core.engine.level_file.state[0] = ~<uint64_t> 0
    core.unlock()


cdef class Overlay:
    """One ``with logger.at_level(...)``.

    Attributes:
        spec: the levels that it lays over the others.
        is_left: whether that ``with`` has ended. Such an overlay goes with the next change of settings at the latest.
    """

    def __init__(self, spec):
        self.spec = spec

    @property
    def is_left(self):
        return load_relaxed32(&self.left) != 0


cdef class LevelGuard:
    """The ``with`` of `Logger.at_level`: `enter(overlay)` before it, `leave()` after it.

    It is compiled, so that no signal handler runs between the two steps of entering, or before an overlay is marked as left. If a
    handler raises in `leave`, the flusher completes it.

    Args:
        core: whose levels these are.
        spec: the levels.
    """

    def __init__(self, Core core not None, spec):
        self.core = core
        self.spec = spec
        # The overlays of a guard are alike. So it does not matter which of them goes first.
        self.entered = []

    def __enter__(self):
        cdef Overlay overlay = Overlay(self.spec)
        self.entered.append(overlay)
        try:
            self.enter(overlay)
        except BaseException:
            try:
                self.end_one()
            finally:
                self.core.want_python()
            raise
        return self

    def __exit__(self, kind, error, trace):
        try:
            self.end_one()
            self.leave()
        except BaseException:
            self.core.want_python()
            raise

    cdef end_one(self):
        """Marks one of the overlays as left. The next change takes it away, also if this raises."""
        cdef Overlay ended = None
        for one in self.entered:
            if ended is None and exchange32(&(<Overlay> one).left, 1) == 0:
                ended = one
        if ended is not None:
            self.entered.remove(ended)
