"""Levels by name that change while records wait: each change has a mark, and a record goes by what held when it was logged."""

from libc.stdint cimport uint64_t

from logly.flusher.directives cimport LEVEL_UNSAID, Directives, level_for
from logly.text.buffer cimport Text

cdef extern from * nogil:
    const uint64_t NEVER "UINT64_MAX"      # a sequence number that no record gets


cdef struct RuleStep:
    uint64_t from_sequence     # they hold for the records from here on
    const Directives* directives
    void* owner                # the LevelRules object that holds the directives (PyObject*; one reference)
    RuleStep* next


# What a logger or a sink asks for. Steps are added by threads that hold the GIL, and passed by whoever makes a pass, both under
# the engine's lock. Those that were passed are freed by the next thread that adds one, because that takes the GIL.
cdef struct Rules:
    RuleStep* held             # what holds now; NULL: nothing was ever asked for
    RuleStep* waiting          # what holds from a later record on, earliest first
    RuleStep* latest           # the last one that waits, or else the one that holds
    RuleStep* passed


cdef inline void pass_held(Rules* rules) noexcept nogil:
    if rules.held != NULL:
        rules.held.next = rules.passed
        rules.passed = rules.held


# Makes hold what holds for the record of this number. Returns the number of the first record for which something else does.
cdef inline uint64_t rules_pass(Rules* rules, uint64_t sequence) noexcept nogil:
    while rules.waiting != NULL and rules.waiting.from_sequence <= sequence:
        pass_held(rules)
        rules.held = rules.waiting
        rules.waiting = rules.held.next
    return rules.waiting.from_sequence if rules.waiting != NULL else NEVER


# Adds what holds from the record `mark` on. `drained` is the number of the next record that is taken from the rings. Where
# nothing was logged since the last change, that change is overwritten: any number of changes needs no more memory than the
# records between them. Returns the steps that are to be freed.
cdef inline RuleStep* rules_set(Rules* rules, RuleStep* step, uint64_t mark, uint64_t drained) noexcept nogil:
    cdef RuleStep* gone
    rules_pass(rules, drained)
    step.from_sequence = mark
    step.next = NULL
    if rules.waiting != NULL and rules.latest.from_sequence == mark:
        step.directives, rules.latest.directives = rules.latest.directives, step.directives
        step.owner, rules.latest.owner = rules.latest.owner, step.owner
        step.next = rules.passed
        rules.passed = step
    elif rules.waiting == NULL and mark <= drained:
        pass_held(rules)
        rules.held = rules.latest = step
    elif rules.waiting == NULL:
        rules.waiting = rules.latest = step
    else:
        rules.latest.next = step
        rules.latest = step
    gone = rules.passed
    rules.passed = NULL
    return gone


# Called in a forked child, which begins with the latest rules. `is_quiet`: no other thread was in the middle of a change. If one
# was, the rules before are leaked, once.
cdef inline void rules_begin(Rules* rules, bint is_quiet) noexcept nogil:
    if is_quiet:
        rules_pass(rules, NEVER)
        return
    rules.held = rules.latest
    rules.waiting = NULL
    rules.passed = NULL


# Forgets all of them, and returns the steps that are to be freed.
cdef inline RuleStep* rules_drop(Rules* rules) noexcept nogil:
    cdef RuleStep* gone
    rules_pass(rules, NEVER)
    pass_held(rules)
    gone = rules.passed
    rules.held = rules.latest = rules.passed = NULL
    return gone


cdef inline int level_asked(const Rules* rules, const Text* name) noexcept nogil:
    return level_for(rules.held.directives, name) if rules.held != NULL else LEVEL_UNSAID


cdef inline bint has_directives(const Rules* rules) noexcept nogil:
    return rules.held != NULL and rules.held.directives.count != 0
