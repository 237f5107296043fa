# What `logly.routes()` and `python -m logly routes` ask, and what `install` sets.

from libc.stdint cimport int32_t

from logly.bridge.route cimport ROUTE_LEVELS, WAY_UNKNOWN

# Of other included files:
#   bridge/routes.pxi: LEVEL_NUMBERS, RouteOwner, handler_entries, never_holds, route_of_logger, route_owners,
#       route_rules
#   bridge/sight.pxi: SIGHT_NONE, no_sight, sight
#   bridge/stamps.pxi: HandlerEntry


def routes_known():
    """A RouteOwner for each logger that has been used; for each that there is, where no call can be fast."""
    cdef RouteOwner owner
    cdef list found
    if sight != SIGHT_NONE or route_rules is None:
        return list(route_owners.values())
    found = []
    for logger in route_rules.loggers():
        owner = route_owners.get(id(logger)) or route_owners.setdefault(id(logger), RouteOwner(logger))
        owner.why_not = {None: no_sight}
        found.append(owner)
    return found


def find_logging_route(logger not None):
    """Finds out what a logger would do with calls. Nothing is logged: it is for `python -m logly routes`.

    Returns why `routes_known` has nothing about the logger, or None.
    """
    for number in LEVEL_NUMBERS:
        logger.isEnabledFor(number)  # a route knows the levels that `logging` has been asked for
    if sight == SIGHT_NONE:
        return no_sight
    if route_of_logger(logger, <int32_t> LEVEL_NUMBERS[0]) == NULL and id(logger) not in route_owners:
        return "it is not one of the loggers that logging.getLogger returns"
    return None


def use_route_rules(rules):
    """Sets what decides about routes; None: every call goes the way of `logging`. Forgets all routes."""
    global route_rules
    cdef RouteOwner owner
    cdef int i
    route_rules = rules
    handler_entries.clear()
    for owner in list(route_owners.values()):
        owner.route.stamp = &never_holds
        owner.route.quick = 1
        owner.route.checks = NULL
        for i in range(ROUTE_LEVELS):
            owner.route.level[i].way = WAY_UNKNOWN
        owner.changes = 0


def routes_in_child():
    """Called in a forked child, in which no thread is in the middle of finding out a route."""
    cdef RouteOwner owner
    for owner in list(route_owners.values()):
        owner.is_being_found = False


def handler_entry(handler):
    """The entry of a handler that a route has reached, or None."""
    cdef HandlerEntry entry = handler_entries.get(id(handler))
    return entry if entry is not None and entry.reference() is handler else None
