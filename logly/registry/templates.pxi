# The process's message templates. Calls find them by the address of the str. A message without a place here is formatted by the
# caller.
#
# Many messages are texts that the program makes, often with a name or a path in them that came from outside. So a message gets
# a place only if it is a constant of the calling code, or if it comes a second time while it is remembered.
#
# A template of `logging` (`percent_program`) comes by way of code of `logging`, so nobody knows here whether it is a constant. It
# gets a place when the same str comes a second time.

import sys

from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from logly.layout.message cimport MAX_TEMPLATES, MAX_TEMPLATE_BYTES, STYLE_BRACES, STYLE_PERCENT, Program, TemplateStyle
from logly.registry.numbers cimport number_return, number_take, numbers_are_left
from logly.registry.table cimport Table, table_find, table_insert, table_remove
from logly.ring.leases cimport FREE_THREADED
from logly.system.atomic cimport (
    exchange_pointer, load_relaxed, load_relaxed32, store_pointer, store_relaxed, store_relaxed32,
)
from logly.system.cpython cimport PyThreadState_Get, Py_DecRef, Py_IncRef, is_constant, list_item, reference_count

# Of other included files:
#   registry/name_entries.pxi: template_is_stored
#   registry/program.pxi: compile_program, free_program
#   registry/retired.pxi: Hand, all_programs, collect_retired, enter_registry, hand_looks, hand_moves, is_crowded,
#       is_new_child, retire_program, template_numbers
#   system/threads.pxi: SystemLock

cdef enum:
    MAX_ALIASES = 1 << 16    # str objects by which templates are found, all together
    CANDIDATES = 64          # messages that are remembered in case they come again; a power of two
    SEEN_TEMPLATES = 1 << 12 # of `logging`

cdef enum Seen:
    NOT_SEEN
    SEEN_TEXT                # another str with the same text
    SEEN_OBJECT

cdef Table template_table
cdef dict templates_by_text = {}
cdef dict percent_by_text = {}            # those of STYLE_PERCENT
cdef uint32_t alias_count = 0
cdef PyObject* candidates[CANDIDATES]     # owned, so that no other str gets the address
cdef uint64_t seen_templates[SEEN_TEMPLATES]  # pairs of templates of `logging` that have been seen; under 2,048 numbers
cdef Hand template_hand

cdef object intern_text = sys.intern  # in a C variable: a __del__ may log after the interpreter has cleared this module


cdef class Template:
    """A message template, and the str objects by which calls find it."""


cdef bint may_become_template(PyObject* message) noexcept:
    """Whether the fast way leaves a message that it does not know to the careful way, which will register it."""
    return numbers_are_left(&template_numbers) and is_constant(PyThreadState_Get(), message)


cdef Seen remember_candidate(str message) except *:
    cdef Py_hash_t place = hash(message) & (CANDIDATES - 1)
    cdef PyObject* before
    cdef Seen seen = NOT_SEEN
    Py_IncRef(<PyObject*> message)
    # Without a GIL other threads remember messages in this place, too. Whoever takes one out owns it.
    before = exchange_pointer(&candidates[place], <PyObject*> message)
    if before != NULL:
        if before == <PyObject*> message:
            seen = SEEN_OBJECT
        elif <str> <object> before == message:
            seen = SEEN_TEXT
        Py_DecRef(before)
    return seen


cdef Program* register_template(str message, bint only_constants) except? NULL:
    """The program of a message that the calling code logs; NULL when it has none.

    `only_constants`: a message that may be text from outside, which gets no place if it comes twice.
    """
    cdef Template template
    cdef Seen seen = NOT_SEEN
    if is_new_child or len(message) > MAX_TEMPLATE_BYTES:
        return NULL  # in a new child Python's hook has not run yet, and a thread that is gone may hold the lock
    if is_constant(PyThreadState_Get(), <PyObject*> message):
        seen = SEEN_OBJECT
    elif not only_constants:
        seen = remember_candidate(message)
    template = templates_by_text.get(message)
    if template is None and seen != NOT_SEEN:
        template = new_template(message, STYLE_BRACES)
    if template is None:
        return NULL
    if seen == SEEN_OBJECT:
        add_alias(template, message)
    return template.program


cdef bint register_own(str message) except -1:
    """Has calls with this str find its program, because logly itself keeps the str. False: there is no place for it."""
    cdef Template template
    if is_new_child or len(message) > MAX_TEMPLATE_BYTES:
        return False
    template = templates_by_text.get(message)
    if template is None:
        template = new_template(message, STYLE_BRACES)
    if template is None:
        return False
    add_alias(template, message)
    return True


cdef Program* percent_program(str message) except? NULL:
    """The program of a template of `logging`; NULL when it has none."""
    cdef Template template
    cdef Program* program = <Program*> table_find(&template_table, <uint64_t> <PyObject*> message, STYLE_PERCENT)
    cdef bint is_seen
    if program != NULL:
        return program
    if is_new_child or len(message) > MAX_TEMPLATE_BYTES:
        return NULL  # as in register_template
    is_seen = is_seen_again(message)
    template = percent_by_text.get(message)
    if template is None and is_seen:
        template = new_template(message, STYLE_PERCENT)
    if template is None:
        return NULL
    if is_seen:
        add_alias(template, message)
    return template.program


# Two texts of one hash do not drive each other out, and no str is kept alive. Another str with this text may get the address. It
# is then taken for this one, which does no harm.
cdef bint is_seen_again(str message) except -1:
    cdef uint64_t mixed = (<uint64_t> hash(message) ^ <uint64_t> <PyObject*> message >> 4) * <uint64_t> 0x9E3779B97F4A7C15
    cdef uint64_t* seen = &seen_templates[2 * (mixed >> 53)]
    if load_relaxed(&seen[0]) == mixed or load_relaxed(&seen[1]) == mixed:
        return True
    store_relaxed(&seen[1], load_relaxed(&seen[0]))
    store_relaxed(&seen[0], mixed)
    return False


cdef inline dict texts_of(TemplateStyle style):
    return percent_by_text if style == STYLE_PERCENT else templates_by_text


cdef Template new_template(str message, TemplateStyle style):
    cdef Template template
    cdef Program* program
    cdef SystemLock registry
    registry = enter_registry()
    try:
        collect_retired()
        look_at_templates(hand_looks(&template_hand, &template_numbers))
    finally:
        registry.give()
    if not numbers_are_left(&template_numbers):
        return None
    program = compile_program(message, style)
    registry = enter_registry()
    try:
        template = texts_of(style).get(message)
        if template is None:
            template = place_template(message, style, program)
        else:
            free_program(program)  # another thread was first
    finally:
        registry.give()
    return template


cdef Template place_template(str message, TemplateStyle style, Program* program):
    """Called with the registry's lock held. Takes over the program. None: there is no place."""
    cdef Template template = None
    cdef Template other = None
    cdef bint is_placed = False
    try:
        template = Template()
        template.text = message
        template.style = style
        template.aliases = []
        program.id = number_take(&template_numbers)
        if program.id:
            store_pointer(&all_programs[program.id & (MAX_TEMPLATES - 1)], program)
            if template_is_stored(program.id, message, style):
                # The garbage collector may have run, and with it a __del__ that logs the same message.
                other = texts_of(style).get(message)
                if other is None:
                    texts_of(style)[message] = template
                    is_placed = True
    finally:
        if is_placed:
            template.program = program
            program.owner = <void*> template
        else:
            discard_program(program)
    if is_placed and FREE_THREADED:
        # Interning makes the caller's constant immortal. Else all threads would contend for its reference count.
        intern_text(message)
    return template if is_placed else other


cdef void discard_program(Program* program) noexcept:
    """Frees a program that no record has named."""
    if program.id:
        all_programs[program.id & (MAX_TEMPLATES - 1)] = NULL
        number_return(&template_numbers, program.id)
    free_program(program)


cdef bint add_alias(Template template, str message) except -1:
    """Has calls with this str object find the template."""
    global alias_count
    cdef SystemLock registry
    registry = enter_registry()
    try:
        drop_dead_aliases(template)
        if (
            template.program != NULL and alias_count < MAX_ALIASES
            and table_find(&template_table, <uint64_t> <PyObject*> message, template.style) == NULL
        ):
            template.aliases.append(message)
            if table_insert(&template_table, <uint64_t> <PyObject*> message, template.style, template.program):
                alias_count += 1
            else:
                template.aliases.pop()
    finally:
        registry.give()
    return True


cdef bint is_let_go(Template template, PyObject* alias) noexcept:
    """Whether only the registry still holds the str: as the template's text and key, and as an alias; in both styles."""
    cdef Py_ssize_t holds = reference_count(alias)
    cdef Py_ssize_t held = 3 if alias == <PyObject*> template.text else 1
    cdef TemplateStyle other = STYLE_BRACES if template.style == STYLE_PERCENT else STYLE_PERCENT
    if FREE_THREADED or holds < held:
        return False
    return holds == held or holds == held + held_by_style(alias, other)


cdef Py_ssize_t held_by_style(PyObject* text, TemplateStyle style) noexcept:
    """How often templates of a style hold the str."""
    cdef Template template = texts_of(style).get(<str> <object> text)
    cdef Py_ssize_t held = 2 if template is not None and <PyObject*> template.text == text else 0
    return held + (table_find(&template_table, <uint64_t> text, style) != NULL)


cdef bint drop_dead_aliases(Template template) except -1:
    global alias_count
    cdef Py_ssize_t i = len(template.aliases)
    cdef PyObject* alias
    while i > 0:
        i -= 1
        alias = list_item(<PyObject*> template.aliases, i)
        if is_let_go(template, alias):
            table_remove(&template_table, <uint64_t> alias, template.style)
            alias_count -= 1
            del template.aliases[i]
    return True


cdef bint look_at_templates(uint32_t looks) except -1:
    """Gives up templates whose str objects are gone, or, where the table gets full, which no record has named for a while."""
    cdef Program* program
    cdef Template template
    cdef uint32_t i
    for i in range(min(looks, template_numbers.begun)):
        program = all_programs[hand_moves(&template_hand, &template_numbers)]
        if program == NULL or program.owner == NULL:
            continue
        template = <Template> program.owner
        drop_dead_aliases(template)
        if load_relaxed32(&program.used):
            store_relaxed32(&program.used, 0)
        elif program.pins == 0 and (not template.aliases or is_crowded(&template_numbers)):
            give_up_template(template)
    return True


cdef bint give_up_template(Template template) except -1:
    global alias_count
    for alias in template.aliases:
        table_remove(&template_table, <uint64_t> <PyObject*> alias, template.style)
        alias_count -= 1
    retire_program(template.program)
    template.program = NULL
    texts_of(template.style).pop(template.text, None)
    return True
