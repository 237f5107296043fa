# Routes of the loggers of `logging`. A route says what a call would do. It is found out when a logger is used first, and again
# when one of its stamps has changed.
#
# Nothing here is atomic: while a route is found out, other threads and the garbage collector may change anything. So each object
# is stamped before it is read, and at the end all stamps are compared. If one has changed, all of it is done again.

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from logly.bridge.route cimport (
    ROUTE_LEVELS, WAY_FAST, WAY_NONE, WAY_OFF, WAY_ORIGINAL, WAY_UNKNOWN, LevelWay, ListStamp, LoggingRoute, Stamp,
    all_stamps_hold, level_stamps_hold, route_holds, route_levels_hold,
)
from logly.registry.table cimport Table, table_find, table_insert
from logly.system.clock cimport clock_monotonic_ns

# Of other included files:
#   bridge/logging_calls.pxi: METHOD_ENABLED, original_methods
#   bridge/sight.pxi: SIGHT_COMPARED, SIGHT_NONE, SIGHT_VERSIONS, sight
#   bridge/stamps.pxi: HandlerEntry, Stamps, Target

cdef enum:
    MOST_STAMPS = 400          # of one route: a logger that needs more is left to `logging`
    MOST_TRIES = 8
    MANY_CHANGES = 64          # a route that changes more often within PATIENCE_NS is left to `logging` until that time is over
    PATIENCE_NS = 1000000000

cdef uint64_t nothing = 0
cdef Stamp never_holds = Stamp(&nothing, 1)
cdef Table route_table                    # logger -> LoggingRoute*
cdef dict route_owners = {}               # id of a logger -> its RouteOwner
cdef dict handler_entries = {}            # id of a handler -> its HandlerEntry
cdef uint64_t site_keys = <uint64_t> 1 << 63
cdef dict keys_by_name = {}               # what call sites show as module -> its number
cdef uint64_t own_changes = 0             # how often logly itself has changed a handler: a rollover does
cdef object route_rules = None            # the RouteRules of bridge/resolve.py; None: not installed


class RouteIsBusy(Exception):
    """Another thread is finding out what serves a handler. This call goes the way of `logging`; the next one tries again."""


cdef class RouteOwner:
    """The Python side of one route.

    Attributes:
        logger: the logger of `logging`.
        why_not: level number -> why calls of the level go the way of `logging`. Under `None`: a reason for all levels.
    """

    def __cinit__(self, logger):
        self.route = <LoggingRoute*> calloc(1, sizeof(LoggingRoute))
        if self.route == NULL:
            raise MemoryError
        self.logger = logger
        self.route.stamp = &never_holds
        self.route.quick = 1
        self.route.owner = <PyObject*> self
        self.why_not = {}
        self.targets = []

    @property
    def counts(self):
        """(fast, rendered, original) calls of levels that were on."""
        return (self.route.fast, self.route.rendered, self.route.original)

    @property
    def ways(self):
        """Level number -> "off", "fast", "nothing" or "original", for the levels that `logging` has been asked about."""
        names = {WAY_OFF: "off", WAY_FAST: "fast", WAY_NONE: "nothing", WAY_ORIGINAL: "original"}
        found = {}
        for i in range(ROUTE_LEVELS):
            if self.route.level[i].way != WAY_UNKNOWN:
                found[self.route.level[i].number] = names[self.route.level[i].way]
        return found

    @property
    def holds(self):
        return route_levels_hold(self.route) and route_holds(self.route)

cdef list LEVEL_NUMBERS = [10, 20, 30, 40, 50]


cdef class Walk:
    """One attempt to find out a route."""

    cdef Stamps stamps
    cdef uint32_t quick
    cdef uint32_t quick_checks
    cdef uint32_t front
    cdef list lists            # the lists of handlers that are not empty
    cdef list contents         # what is in each
    cdef list handlers         # their HandlerEntry objects
    cdef object disabled
    cdef bint is_computed      # not the logger's attributes, but other code may decide about levels
    cdef dict cache            # the logger's answers about levels
    cdef dict answers          # what was in `cache` when it was stamped
    cdef str why_not           # why no level is fast, or None
    cdef str name
    cdef bint is_unconfigured  # there is no handler up to the root


cdef str walk_loggers(Walk walk, object logger, str why_not):
    """Stamps the logger and those above it, and collects their handlers. Returns why its calls cannot be fast, or None.

    `why_not` says why no call can be fast at present, or is None. If there is such a reason, only what decides about levels is
    stamped: CPython reads the attributes of an object more slowly once somebody has looked at them as a dict.
    """
    cdef dict attributes
    cdef object one = logger
    cdef object found
    cdef set seen = set()
    walk.stamps = Stamps()
    walk.lists = []
    walk.contents = []
    while one is not None:
        if id(one) in seen:
            return "its parents form a circle"
        seen.add(id(one))
        attributes = walk.stamps.watch(one)
        why = route_rules.refuses_logger(one, one is logger)
        if attributes is None:
            return "it has no attributes of its own"
        if one is logger:
            walk.cache = as_dict(attributes.get("_cache"))
            walk.disabled = attributes.get("disabled")
            walk.is_computed = "isEnabledFor" in attributes or route_rules.computes_attributes(type(one))
            walk.name = as_str(attributes.get("name"))
            if walk.cache is None or walk.name is None:
                return "it is not set up as logging does"
            walk.answers = walk.stamps.watch_answers(walk.cache)
            walk.quick = walk.stamps.count
            walk.quick_checks = walk.stamps.checks.count
            walk.stamps.add_changes()
        if why_not is not None or why is not None:
            return why_not or why
        why = route_rules.shadowing(attributes)
        if why is not None:
            return f"its attribute {why} hides the method"
        found = attributes.get("handlers")
        if type(found) is not list:
            return "its handlers are not in a list"
        if found:
            walk.lists.append(found)
            walk.contents.append(walk.stamps.watch_list(found))
        else:
            walk.stamps.watch_size(found)
        if one is logger:
            filters = attributes.get("filters")
            if type(filters) is not list:
                return "its filters are not in a list"
            walk.stamps.watch_size(filters)
            if filters:
                return f"{len(filters)} filter{'s' if len(filters) > 1 else ''}"
        propagate = attributes.get("propagate")
        if type(propagate) is not bool and type(propagate) is not int:
            return "its attribute propagate is neither True nor False"
        last, one = one, attributes.get("parent") if propagate else None
    if not walk.lists and route_rules.is_root(last):
        # Its records are for `logly.logger` as long as the process has made no handler.
        walk.stamps.watch_size(route_rules.known_handlers)
        walk.is_unconfigured = True
    return None


cdef dict as_dict(object value):
    return <dict> value if type(value) is dict else None


cdef str as_str(object value):
    return <str> value if type(value) is str else None


cdef bint walk_handlers(Walk walk) except -1:
    cdef HandlerEntry entry
    walk.handlers = []
    for found in walk.contents:
        for handler in <list> found:
            entry = handler_entries.get(id(handler))
            if entry is None or not entry.is_of(handler):
                entry = route_rules.assess(handler)
                entry.stamps.release()
                handler_entries[id(handler)] = entry
            walk.stamps.take_in(entry.stamps)
            walk.handlers.append(entry)
    return True


cdef bint find_route(RouteOwner owner) except -1:
    """Finds out the owner's route. Returns False if something keeps changing, or if the logger is not set up as usual."""
    cdef Walk walk
    cdef int tries
    for tries in range(MOST_TRIES):
        walk = Walk.__new__(Walk)
        owner.world = route_rules.world()
        walk.why_not = walk_loggers(walk, owner.logger, owner.world.why_not)
        walk.is_computed = walk.is_computed or not owner.world.is_gated
        walk.front = walk.stamps.count
        walk.handlers = []
        if walk.cache is None:
            return False
        if walk.why_not is None:
            walk_handlers(walk)
        walk.stamps.take_in(owner.world.stamps)
        if walk.stamps.is_blind:
            # A change that is not seen may let other code decide about levels.
            walk.is_computed = True
            if walk.why_not is None:
                walk.why_not = "CPython does not tell of changes of what it depends on"
        if walk.stamps.count + walk.stamps.checks.count > MOST_STAMPS and walk.why_not is None:
            walk.why_not = "too many handlers and loggers above it"
        if use_walk(owner, walk):
            return True
    return False


cdef bint use_walk(RouteOwner owner, Walk walk) except -1:
    """Writes what the walk has found into the route. Returns False if something has changed meanwhile."""
    cdef LoggingRoute* route = owner.route
    cdef LoggingRoute made
    cdef Stamps stamps = walk.stamps
    cdef RouteLists lists
    cdef list targets = []
    cdef dict why_not = {}
    cdef uint32_t i
    made = route[0]
    for i in range(ROUTE_LEVELS):
        if i < 5:
            made.level[i].number = LEVEL_NUMBERS[i]
        made.level[i].way = WAY_UNKNOWN
        made.level[i].target = NULL
        if i < 5 or made.level[i].number:
            find_way(walk, &made.level[i], targets, why_not)
    made.site_key = key_of_name(walk.name)
    made.stamp = stamps.stamp
    made.quick = walk.quick
    made.front = walk.front
    made.stamps = stamps.count
    made.classes = stamps.classes
    made.class_count = stamps.class_count
    made.lists = <uint32_t> len(walk.lists)
    made.checks = NULL
    if sight != SIGHT_VERSIONS:
        made.checks = &stamps.checks
    made.quick_checks = walk.quick_checks
    lists = RouteLists(walk.lists, walk.contents)
    made.list = lists.list
    made.item = lists.item
    before = (owner.stamps, owner.lists, owner.targets, owner.why_not, owner.cache)
    made.fast, made.rendered, made.original = route.fast, route.rendered, route.original
    # From here on no other code runs, and nothing can fail.
    if not is_as_walked(&made, stamps):
        return False
    route[0] = made
    owner.stamps, owner.lists, owner.targets, owner.why_not = stamps, lists, targets, why_not
    owner.cache = None if walk.is_computed else walk.cache
    stamps.release()
    return True


cdef bint is_as_walked(const LoggingRoute* made, Stamps stamps) noexcept:
    """Whether nothing has been changed since the walk began."""
    if sight == SIGHT_COMPARED:
        return stamps.hold_strictly()
    return level_stamps_hold(made) and all_stamps_hold(made)


cdef class RouteLists:
    """The stamps of lists of handlers."""

    cdef ListStamp* list
    cdef PyObject** item

    def __cinit__(self, lists, contents):
        cdef uint32_t count = 0, i = 0
        for one in contents:
            count += <uint32_t> len(one)
        self.list = <ListStamp*> calloc(len(lists) + 1, sizeof(ListStamp))
        self.item = <PyObject**> calloc(count + 1, sizeof(PyObject*))
        if self.list == NULL or self.item == NULL:
            raise MemoryError
        count = 0
        for one in lists:
            self.list[i].list = <PyObject*> one
            self.list[i].first = count
            for handler in contents[i]:
                self.item[count] = <PyObject*> handler
                count += 1
            self.list[i].size = count - self.list[i].first
            i += 1

    def __dealloc__(self):
        free(self.list)
        free(self.item)


cdef bint find_way(Walk walk, LevelWay* level, list targets, dict why_not) except -1:
    cdef HandlerEntry entry
    cdef list producers = []
    cdef list sinks = []
    cdef list shown = []
    cdef bint is_ascii = False
    cdef int32_t number = level.number
    if walk.is_computed or (walk.disabled is not False and walk.disabled is not True and type(walk.disabled) is not int):
        if walk.why_not is not None:
            why_not[None] = walk.why_not
        return True  # `logging` is asked each time
    if walk.disabled:
        level.way = WAY_OFF
        return True
    is_on = walk.answers.get(number)
    if is_on is None:
        return True
    if is_on is not True:
        if is_on is False:
            level.way = WAY_OFF
        return True
    level.way = WAY_ORIGINAL
    if walk.why_not is not None:
        why_not[None] = walk.why_not
        return True
    if not walk.handlers:
        producer = route_rules.without_handlers() if walk.is_unconfigured else None
        if producer is None:
            why_not[None] = "no handler"
            return True
        producers.append(producer)
    for entry in walk.handlers:
        if type(entry.level) is not int:
            why_not[number] = "the level of a handler is not an int"
            return True
        if number < entry.level:
            continue
        if entry.why_not is not None:
            why_not[number] = entry.why_not
            return True
        if entry.producer is not None:
            producers.append(entry.producer)
        elif not entry.wants_nothing:
            sinks.append(entry.sink)
            if entry.extra is not None:
                shown.append(entry.extra)
            is_ascii = is_ascii or entry.is_ascii
    if not producers and not sinks:
        level.way = WAY_NONE
        return True
    target = route_rules.target(walk.name, producers, tuple(sinks), is_ascii, shown)
    if type(target) is not Target:
        why_not[number] = target
        return True
    targets.append(target)
    level.way = WAY_FAST
    level.target = <PyObject*> target
    return True


cdef uint64_t key_of_name(str name) except 0:
    global site_keys
    cdef object key = keys_by_name.get(name)
    if key is None:
        site_keys += 1
        key = keys_by_name.setdefault(name, site_keys)
    return key


cdef LoggingRoute* route_of_logger(object logger, int32_t number) except? NULL:
    """The logger's route, which holds and knows the level. NULL: there is none, and the call goes the way of `logging`."""
    cdef LoggingRoute* route = <LoggingRoute*> table_find(&route_table, <uint64_t> <PyObject*> logger, 1)
    cdef RouteOwner owner
    cdef int64_t now_ns
    if sight == SIGHT_NONE or route_rules is None:
        return NULL
    if route == NULL:
        if not route_rules.is_routable(logger):
            return NULL
        owner = RouteOwner(logger)
        owner = route_owners.setdefault(id(logger), owner)
        route = <LoggingRoute*> table_find(&route_table, <uint64_t> <PyObject*> logger, 1)
        if route == NULL and not table_insert(&route_table, <uint64_t> <PyObject*> logger, 1, owner.route):
            raise MemoryError
        route = owner.route
    owner = <RouteOwner> route.owner
    if route_levels_hold(route) and route_holds(route) and is_answered(owner, level_of(route, number)):
        return route
    if owner.is_being_found:
        return NULL  # perhaps this thread itself is finding the route out, and code that it runs (a stream's) has logged
    now_ns = clock_monotonic_ns()
    if now_ns - owner.since_ns > PATIENCE_NS:
        owner.since_ns = now_ns
        owner.changes = 0
    if owner.own_changes == own_changes:
        owner.changes += 1
    owner.own_changes = own_changes
    if owner.changes > MANY_CHANGES:
        if owner.changes == MANY_CHANGES + 1:
            owner.why_not = {None: f"it was changed more than {MANY_CHANGES} times within a second"}
        return NULL
    ask_for_level(logger, number)
    learn_level(route, number)
    owner.is_being_found = True
    try:
        if find_route(owner):
            return route
    except RouteIsBusy:
        owner.changes -= 1
    finally:
        owner.is_being_found = False
    return NULL


cdef object ask_for_level(object logger, int32_t number):
    """Asks `logging` whether a level is on, as the call would. The logger keeps the answer, and the route is made from it."""
    cdef PyObject* ask = original_methods[<int> METHOD_ENABLED]
    if ask != NULL and "isEnabledFor" not in vars(logger) and not route_rules.computes_attributes(type(logger)):
        try:
            (<object> ask)(logger, number)
        except RecursionError:
            raise
        except Exception:
            pass  # the call asks again, and raises


cdef bint is_answered(RouteOwner owner, const LevelWay* level) except -1:
    """Whether the route knows all that can be known of a level.

    It does not if `isEnabledFor` has given an answer that is newer than the route: a new answer does not always break stamps.
    """
    if level == NULL:
        return False
    return level.way != WAY_UNKNOWN or owner.cache is None or type(owner.cache.get(level.number)) is not bool


cdef inline LevelWay* level_of(LoggingRoute* route, int32_t number) noexcept:
    cdef int i
    if number % 10 == 0 and 10 <= number <= 50:
        return &route.level[number // 10 - 1]
    for i in range(5, ROUTE_LEVELS):
        if route.level[i].number == number:
            return &route.level[i]
    return NULL


cdef void learn_level(LoggingRoute* route, int32_t number) noexcept:
    """Takes a level of the program's own into the route. The oldest of the three that it can hold is forgotten."""
    if level_of(route, number) == NULL:
        route.level[7] = route.level[6]
        route.level[6] = route.level[5]
        route.level[5].number = number
        route.level[5].way = WAY_UNKNOWN
