# The process's registries: message templates and call sites, found by identity. Both are bounded. A message whose template
# finds no room is formatted by the caller. A record whose call site finds no room contains the site itself.

import sys
from logly.layout.message_template import parse_message
from types import TracebackType

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport uint16_t, uint32_t, uint64_t, uint8_t
from libc.stdlib cimport calloc, free

from logly.layout.line cimport Site, base_name
from logly.layout.message cimport MAX_ARGS, MAX_TEMPLATE_BYTES, STEP_ARGUMENT, STEP_FIELD, STEP_LITERAL, Program, Step
from logly.registry.table cimport Table, table_find, table_insert
from logly.ring.leases cimport FREE_THREADED
from logly.ring.record cimport TAG_UTF8
from logly.system.atomic cimport (
    load_pointer, load_relaxed, load_relaxed32, store_pointer, store_relaxed, store_relaxed32,
)
from logly.system.cpython cimport (
    KNOWS_GLOBALS, Py_DecRef, interpreter_ends, namespace_keep, namespace_key, namespaces_begin,
)
from logly.text.buffer cimport Text
from logly.text.format_spec cimport KIND_ALL, KIND_STR, spec_accepts

# Of other included files:
#   layout/message_rules.pxi: MAX_USES, has_braces
#   registry/name_entries.pxi: site_is_stored, template_is_stored
#   system/threads.pxi: SystemLock
#   text/owned_text.pxi: copy_text, parse_native_spec, utf8

cdef enum:
    MAX_TEMPLATES = 8192
    MAX_SITES = 65536
    MAX_ALIASES = 8          # how many str objects with the same text are found by identity

cdef Table template_table
cdef Table site_table
cdef Program* all_programs[MAX_TEMPLATES]
cdef Site* all_sites[MAX_SITES]
cdef uint32_t program_count = 1      # number 0 means "the message is text", or "no site"
cdef uint32_t site_count = 1
cdef uint32_t template_limit = MAX_TEMPLATES
cdef uint32_t site_limit = MAX_SITES
cdef dict programs_by_text = {}      # text -> [address of the program, number of aliases]

# The lock is reentrant, because the garbage collector may run while it is held, and with it a __del__ that logs.
cdef SystemLock registry_lock = SystemLock()


# Takes the lock and returns it; the caller releases it. A ``with`` is not used, because Cython's makes objects when an exception
# leaves it, and without memory for them the lock would stay taken.
cdef SystemLock enter_registry():
    cdef SystemLock lock = registry_lock
    lock.take()
    return lock


cdef uint32_t accepted_kinds(const Step* step) noexcept:
    cdef uint32_t kinds = spec_accepts(&step.spec) if step.has_spec else KIND_ALL
    if step.conversion:
        # A conversion makes a str of any value, and the str is formatted.
        return KIND_ALL if kinds & KIND_STR else 0
    return kinds


# What a step of `message_template.parse_message` is.
cdef uint8_t step_code(object what, object conversion) noexcept:
    if conversion is None:
        return STEP_LITERAL
    return STEP_ARGUMENT if type(what) is int else STEP_FIELD


cdef Py_ssize_t most_uses(list steps):
    """How often the template reads the argument that it reads most."""
    uses = {}
    for what, conversion, _ in steps:
        if conversion is not None:
            uses[what] = uses.get(what, 0) + 1
    return max(uses.values(), default=0)


cdef Py_ssize_t most_args(list steps) except -1:
    """How many positional arguments the template reads, up to MAX_ARGS."""
    cdef Py_ssize_t most = 0
    for what, _, _ in steps:
        if type(what) is int and what < MAX_ARGS:
            most = max(most, <Py_ssize_t> what + 1)
    return most


cdef bint compile_steps(Program* program, list steps) except -1:
    """False when a step is not native."""
    cdef Step* step
    cdef dict names = {}         # field name -> its number; a dict, because there may be hundreds
    cdef Py_ssize_t i
    cdef Text text
    program.step = <Step*> calloc(len(steps) + 1, sizeof(Step))
    program.steps = <uint16_t> len(steps)
    program.accepts = <uint32_t*> calloc(most_args(steps) + 1, sizeof(uint32_t))
    program.name = <void**> calloc(len(steps) + 1, sizeof(void*))
    program.name_accepts = <uint32_t*> calloc(len(steps) + 1, sizeof(uint32_t))
    if program.step == NULL or program.accepts == NULL or program.name == NULL or program.name_accepts == NULL:
        raise MemoryError
    for i in range(most_args(steps)):
        program.accepts[i] = KIND_ALL
    uses = most_uses(steps)
    if uses > MAX_USES:
        return False
    # A text that is shown once grows at most fourfold, because each byte may become \xNN.
    program.growth = 2 + (max(uses, 1) - 1).bit_length()
    for i, (what, conversion, spec) in enumerate(steps):
        step = &program.step[i]
        step.code = step_code(what, conversion)
        if step.code == STEP_LITERAL:
            text = copy_text(utf8(what))
            step.text = text.data
            step.size = text.size
            continue
        step.conversion = ord(conversion) if conversion else 0
        step.has_spec = bool(spec)
        if spec and not parse_native_spec(spec, &step.spec):
            return False
        if step.code == STEP_ARGUMENT:
            if what >= MAX_ARGS:
                return False
            step.argument = what
            program.accepts[what] &= accepted_kinds(step)
            program.required = max(program.required, <uint16_t> (what + 1))
            continue
        text = copy_text(utf8(what))
        step.key.tag = TAG_UTF8
        step.key.data = text.data
        step.key.count = text.size
        if not what.isascii():
            return False  # keys are compared as CPython stores them, so only ASCII names are native
        if what not in names:
            names[what] = program.names
            program.name_accepts[program.names] = KIND_ALL
            program.name[program.names] = <void*> what
            Py_INCREF(what)
            program.names += 1
        program.name_accepts[<int> names[what]] &= accepted_kinds(step)
    return True


cdef void free_program(Program* program) noexcept:
    cdef uint32_t i
    if program == NULL:
        return
    if program.step != NULL:
        for i in range(program.steps):
            free(<void*> program.step[i].text)
            free(<void*> program.step[i].key.data)
    if program.name != NULL:
        for i in range(program.names):
            Py_DecRef(<PyObject*> program.name[i])
    free(program.step)
    free(program.accepts)
    free(program.name)
    free(program.name_accepts)
    free(program)


cdef void free_site(Site* site) noexcept:
    if site == NULL:
        return
    free(<void*> site.module.data)
    free(<void*> site.function.data)
    free(<void*> site.path.data)
    free(site)


cdef Program* compile_program(str message) except NULL:
    cdef Program* program = <Program*> calloc(1, sizeof(Program))
    cdef list steps = None
    if program == NULL:
        raise MemoryError
    try:
        try:
            if len(message) <= MAX_TEMPLATE_BYTES:
                steps = parse_message(message)
        except (RecursionError, MemoryError):
            raise  # says nothing about the message: the next call tries again
        except Exception:
            pass  # the ending interpreter has cleared the parser's module: str.format formats the message
        program.native = steps is not None and len(steps) < 1000 and compile_steps(program, steps)
        program.fills = program.native and (program.names or not has_braces(message))
    except BaseException:
        free_program(program)
        raise
    return program


cdef object intern_text = sys.intern  # in a C variable: a __del__ may log after the interpreter has cleared this module


cdef Program* register_template(str message) except? NULL:
    """The program of a message; NULL when the registry is full."""
    global program_count
    cdef Program* program
    cdef list known
    cdef SystemLock registry
    if is_new_child:
        return NULL  # Python's hook has not run yet in this forked child: a thread that is gone may hold the lock
    known = programs_by_text.get(message)
    if known is None:
        if load_relaxed32(&program_count) >= template_limit or len(message) > MAX_TEMPLATE_BYTES:
            return NULL
        program = compile_program(message)
        registry = enter_registry()
        try:
            known = programs_by_text.get(message)
            if known is not None or program_count >= template_limit:
                free_program(program)  # another thread was first
                if known is None:
                    return NULL
            else:
                program.id = program_count
                store_pointer(&all_programs[program_count], program)
                store_relaxed32(&program_count, program_count + 1)
                if not template_is_stored(program.id, message):
                    # The number is reused only if it is the last. Nothing refers to it.
                    store_relaxed32(&program_count, program_count - (program_count == program.id + 1))
                    all_programs[program.id] = NULL
                    free_program(program)
                    return NULL
                known = [<uint64_t> program, 0]
                programs_by_text[message] = known
                if FREE_THREADED and type(message) is str:
                    # Interning makes the caller's constant immortal. Else all threads would contend for its reference count.
                    intern_text(message)
        finally:
            registry.give()
    program = <Program*> <uint64_t> known[0]
    registry = enter_registry()
    try:
        if known[1] < MAX_ALIASES and table_find(&template_table, <uint64_t> <PyObject*> message, 1) == NULL:
            known[1] += 1
            Py_INCREF(message)  # the table keeps the str alive, so that its address is not used again
            table_insert(&template_table, <uint64_t> <PyObject*> message, 1, program)
    finally:
        registry.give()
    return program


cdef str NAME_KEY = sys.intern("__name__")

cdef enum:
    MAX_MODULES = 64         # how many modules one code object may run as code of

UNKNOWN_LOCATION = ("?", "?", "?", 0)


cdef object location_of(object frame):
    """(code, globals, last instruction, line) of a frame, or of a traceback's entry: where it failed."""
    if isinstance(frame, TracebackType):
        return (frame.tb_frame.f_code, frame.tb_frame.f_globals, frame.tb_lasti, frame.tb_lineno or 0)
    return (frame.f_code, frame.f_globals, frame.f_lasti, frame.f_lineno or 0)


cdef object name_in_namespace(object globals_):
    """The module's name in a dict of globals. `dict.get` also ignores what a subclass of dict overrides."""
    return dict.get(globals_, "__name__") if isinstance(globals_, dict) else None


cdef str module_of(object globals_):
    name = name_in_namespace(globals_)
    return str.__str__(name) if isinstance(name, str) else "?"


cdef tuple describe_location(tuple location):
    """(module, function, path, line)"""
    code = location[0]
    return (module_of(location[1]), code.co_name, code.co_filename, location[3])


cdef Site* new_site(tuple description) except NULL:
    cdef Site* site = <Site*> calloc(1, sizeof(Site))
    cdef uint32_t size
    if site == NULL:
        raise MemoryError
    try:
        site.module = copy_text(utf8(description[0]))
        site.function = copy_text(utf8(description[1]))
        site.path = copy_text(utf8(description[2]))
        site.line = description[3]
        site.is_odd = not (description[0] + description[1] + description[2]).isprintable()
    except BaseException:
        free_site(site)
        raise
    site.filename.data = base_name(site.path.data, site.path.size, &size)
    site.filename.size = size
    return site


# The key of a namespace is no longer valid, because the namespace dies or gets another name. The interpreter calls this in the
# middle of that change, so it runs no Python code and takes no lock.
cdef void forget_namespace(uint64_t key) noexcept nogil:
    cdef Site* site
    cdef uint32_t i
    for i in range(1, load_relaxed32(&site_count)):
        site = load_pointer(&all_sites[i])
        if site != NULL and load_relaxed(&site.globals_key) == key:
            store_relaxed(&site.globals_key, 0)


namespaces_begin(<PyObject*> NAME_KEY, forget_namespace)


cdef uint32_t register_site(tuple location) except? 0:
    """The id of a location's site; 0 when the registry is full."""
    cdef object code = location[0]
    cdef uint64_t key = <uint64_t> <PyObject*> code
    cdef uint64_t instruction = <uint64_t> location[2] + 1
    cdef uint64_t namespace = namespace_key(<PyObject*> location[1]) if KNOWS_GLOBALS else 0
    cdef Site* site = <Site*> table_find(&site_table, key, instruction)
    cdef SystemLock registry
    while site != NULL:
        if load_relaxed(&site.globals_key) == namespace:
            return site.id
        site = load_pointer(&site.next)
    if is_new_child:
        return 0  # as in register_template
    registry = enter_registry()
    try:
        return add_site(location, key, instruction)
    finally:
        registry.give()


cdef uint32_t add_site(tuple location, uint64_t key, uint64_t instruction) except? 0:
    """Called with the registry's lock held: adds a site, or finds the one that the module already has."""
    global site_count
    cdef object name = name_in_namespace(location[1])
    cdef tuple description = describe_location(location)
    cdef bytes module = utf8(description[0])
    cdef Site* last = NULL
    cdef Site* site = <Site*> table_find(&site_table, key, instruction)
    cdef int modules = 0
    while site != NULL:
        if site.module.data[: site.module.size] == module:
            set_site_namespace(site, name, location[1])
            return site.id
        modules += 1
        last = site
        site = load_pointer(&site.next)
    if modules == 1 and name is None and interpreter_ends():
        return last.id  # the ending interpreter has cleared the module, its name included
    if load_relaxed32(&site_count) >= site_limit or modules >= MAX_MODULES:
        return 0
    site = new_site(description)
    site.id = site_count
    Py_INCREF(location[0])
    site.code = <void*> location[0]
    store_relaxed32(&site_count, site_count + 1)
    if not site_is_stored(site):
        store_relaxed32(&site_count, site_count - (site_count == site.id + 1))
        Py_DecRef(<PyObject*> site.code)
        free_site(site)
        return 0
    store_pointer(&all_sites[site.id], site)
    set_site_namespace(site, name, location[1])
    if last != NULL:
        store_pointer(&last.next, site)
    else:
        table_insert(&site_table, key, instruction, site)
    return site.id


cdef void set_site_namespace(Site* site, object name, object globals_):
    """Makes the site that of calls from the namespace `globals_`, in which `name` is the module's name."""
    cdef PyObject* before = <PyObject*> site.name
    if name is None:
        store_pointer(&site.name, NULL)
    elif isinstance(name, str):
        # The site keeps the str alive. Else a str of another name might get its address.
        Py_INCREF(name)
        store_pointer(&site.name, <void*> name)
        if KNOWS_GLOBALS:
            namespace_keep(<PyObject*> globals_, <PyObject*> name, &site.globals_key)
    else:
        return  # such a name cannot be compared by identity: each call takes the careful way
    if before != NULL:
        Py_DecRef(before)


cdef bint is_new_child = False       # True in a forked child from `begin_child` until Python's hook has run
