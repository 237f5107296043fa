# The levels of an engine: number, name and colour of each, by the index that records have.

from logly.errors import LoglyError

from libc.stdint cimport uint32_t
from libc.stdlib cimport free

from logly.layout.line cimport MAX_LEVELS
from logly.ring.leases cimport FREE_THREADED
from logly.text.buffer cimport Text

# Of other included files:
#   control/core.pxi: Core
#   registry/name_entries.pxi: level_entry
#   registry/retired.pxi: enter_registry
#   spool/spool_file.pxi: SpoolFile
#   system/threads.pxi: SystemLock
#   text/owned_text.pxi: copy_text, decimal, utf8


cdef uint32_t place_level(Core core, uint32_t index, str name, int number, str color) except? 0:
    """Puts a level at this index (MAX_LEVELS: at the next free one), and returns the index."""
    cdef Text text = copy_text(utf8(name))
    cdef Text lower = copy_text(utf8(name.lower()))
    cdef Text sgr = copy_text(utf8(color))
    core.lock()
    if index == MAX_LEVELS:
        # Chosen under the lock, so that no two levels get the same index. The last index is shared when all are in use.
        index = min(core.engine.levels.count, <uint32_t> (MAX_LEVELS - 1))
    if index >= core.engine.levels.count:
        core.engine.levels.count = index + 1
    elif core.engine.levels.level[index].number != number:
        core.engine.levels.are_renumbered = True
    # The old texts can be freed below, because the flusher reads them under the lock only.
    text, core.engine.levels.level[index].name = core.engine.levels.level[index].name, text
    lower, core.engine.levels.level[index].lower = core.engine.levels.level[index].lower, lower
    sgr, core.engine.levels.level[index].color = core.engine.levels.level[index].color, sgr
    core.engine.levels.level[index].number = number
    core.engine.levels.versions += 1
    core.engine.levels.level[index].version = core.engine.levels.versions
    core.unlock()
    free(<void*> text.data)
    free(<void*> lower.data)
    free(<void*> sgr.data)
    return index


cdef uint32_t put_level_of(Core core, str name, int number, str color) except? 0:
    cdef uint32_t i = MAX_LEVELS
    cdef SystemLock registry
    known = core.level_index.get(name)
    if known is not None:
        i = known[1]
    elif core.engine.levels.count >= MAX_LEVELS:
        raise LoglyError(f"no more than {MAX_LEVELS} levels")
    i = place_level(core, i, name, number, color)
    registry = enter_registry()
    try:
        for file in core.spools:
            if not (<SpoolFile> file).store_names(level_entry(i, &core.engine.levels.level[i])):
                (<SpoolFile> file).spool.header.lacks_levels = 1
    finally:
        registry.give()
    core.level_index[name] = (number, i)
    if number not in core.level_index:
        core.level_index[number] = (number, i)
    return i


def define_levels(Core core not None, list levels):
    """Sets several levels: (name in capitals, number, colour). A new number for a name holds for all of its spellings."""
    cdef dict names = core.level_index
    for name, number, color in levels:
        known = names.get(name)
        if known is not None and known[0] != number:  # so that other spellings are looked up again
            for spelling, found in list(names.items()):
                if found == known and spelling != name:
                    del names[spelling]
        core.put_level(name, number, color)
        unnamed = "LEVEL " + decimal(number).decode("ascii")
        if number in names and names[number] == names.get(unnamed):
            names[number] = names[name]  # the number was used before it had a name


cdef list level_entries(Core core):
    cdef uint32_t i
    cdef list entries = []
    if FREE_THREADED:  # another thread may change a level meanwhile
        core.lock()
    try:
        for i in range(core.engine.levels.count):
            entries.append(level_entry(i, &core.engine.levels.level[i]))
    finally:
        if FREE_THREADED:
            core.unlock()
    return entries
