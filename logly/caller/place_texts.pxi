# The texts of a traceback's entries, as `traceback` makes them, and their places.
#
# `traceback` compiles each line to find what it marks below it (`^^^^`), which takes as long as all the rest. Most lines have
# nothing of what that looks for, and are written here. The others are left to `traceback` (caller/tracebacks.py).

import sys

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t
from libc.string cimport memcmp

from logly.layout.trace cimport SHOWN_REPEATS, Place
from logly.system.cpython cimport next_traced, text_data, text_length_of, traced_source
from logly.system.probe cimport IS_PROBE

# Of other included files:
#   caller/exceptions.pxi: Shown, has_surrogates
#   registry/places.pxi: find_place, is_usable, register_place, store_place_again

# From 3.13 on `traceback` marks the parts of a call, too, and leaves the marks out below others. What 3.14 does is not known yet.
cdef bint MARKS_CALLS = sys.version_info >= (3, 13)
cdef bint KNOWS_TRACEBACK = sys.version_info < (3, 14)


# Loaded when a logger is made (caller/emergency.py).

cdef object lines_finder():
    from logly.caller.tracebacks import source_lines
    return source_lines


cdef object call_marker():
    from logly.caller.tracebacks import marks_of_call
    return marks_of_call


cdef object place_text_maker():
    from logly.caller.tracebacks import place_text
    return place_text


cdef object values_finder():
    from logly.caller.frame_values import FrameValues
    return FrameValues


cdef bint find_places(list nodes) except -1:
    """Gives each entry of the tracebacks a place, or makes the text of a traceback at once. Returns False where it is unusual."""
    cdef Shown one
    cdef dict sources = None
    cdef dict made
    for one in nodes:
        if one.trace is None or have_places(<PyObject*> one.trace):
            continue
        if sources is None:
            sources = {}
        one.entries = None
        made = {}
        if not make_places(one.trace, sources, made):
            one.entries = entries_text(<PyObject*> one.trace, sources, made, {})
            if one.entries is None or has_surrogates(<PyObject*> one.entries):
                return False
    return True


cdef bint make_entries(list nodes, tuple diagnosis) except -1:
    """Makes the texts of the tracebacks, with values of variables. Returns False where one is unusual."""
    cdef Shown one
    cdef dict sources = {}
    cdef dict values
    cdef list traces = []
    for one in nodes:
        if one.trace is not None and one.entries is None:
            traces.append(one.trace)
    values = values_finder()(*diagnosis)(traces)  # of all at once: what one of them hides is hidden in the others, too
    for one in nodes:
        if one.trace is not None and one.entries is None:
            one.entries = entries_text(<PyObject*> one.trace, sources, {}, values)
            if one.entries is None or has_surrogates(<PyObject*> one.entries):
                return False
    return True


cdef bint have_places(PyObject* entry) noexcept:
    while entry != <PyObject*> None and entry != NULL:
        if not is_usable(find_place(entry)):
            return False
        entry = next_traced(entry)
    return True


cdef bint make_places(object trace, dict sources, dict made) except -1:
    """Returns False when an entry is unusual, or finds no place. `made`: gets the texts that are made, by the entry's address."""
    cdef PyObject* entry = <PyObject*> trace
    cdef tuple found
    cdef bint is_whole = True
    cdef Place* place
    while entry != <PyObject*> None and entry != NULL:
        place = find_place(entry)
        if place != NULL:
            is_whole = (is_usable(place) or store_place_again(entry)) and is_whole
        else:
            found = place_text(<object> entry, sources)
            if found is None:
                return False
            made[<uint64_t> entry] = found
            is_whole = register_place(<object> entry, found[0], found[1]) and is_whole
        entry = next_traced(entry)
    return is_whole


cdef str entries_text(PyObject* entry, dict sources, dict texts, dict values):
    """The text of all entries, for a traceback of which some find no place, or that shows values. None: one of them is unusual.

    `texts`: those that have been made, and `values`: lines to follow an entry, by the entry's address.
    """
    cdef list lines = []
    cdef object latest = None
    cdef uint64_t count = 0
    cdef tuple made
    while entry != <PyObject*> None and entry != NULL:
        made = texts.get(<uint64_t> entry)
        if made is None:
            made = place_text(<object> entry, sources)
        if made is None:
            return None
        if made[1] != latest:
            if count > SHOWN_REPEATS:
                lines.append(repeated_entries(count - SHOWN_REPEATS))
            latest = made[1]
            count = 0
        count += 1
        if count <= SHOWN_REPEATS:
            lines.append(made[0])
            if values:
                lines.append(values.get(<uint64_t> entry, ""))
        entry = next_traced(entry)
    if count > SHOWN_REPEATS:
        lines.append(repeated_entries(count - SHOWN_REPEATS))
    return "".join(lines)


cdef str repeated_entries(uint64_t more):
    return f"  [Previous line repeated {more} more time{'s' if more > 1 else ''}]\n"


cdef tuple place_text(object entry, dict sources):
    """(text, a number that is equal where `traceback` sees a repetition), or None for an entry whose text is unusual.

    `sources`: the lines of the files that have been looked at for this record.
    """
    cdef tuple made = quick_text(entry, sources)
    return made if made is not None else place_text_maker()(entry)


cdef tuple quick_text(object entry, dict sources):
    """The same for plain lines; None: only `traceback` knows."""
    cdef int number = 0
    cdef int last = 0
    cdef int start = 0
    cdef int end = 0
    cdef str file, name, line, below
    cdef object frame, code, lines
    if not KNOWS_TRACEBACK or not traced_source(<PyObject*> entry, &number, &start, &last, &end):
        return None
    if number < 1 or number != last or start < 0 or end <= start:
        return None
    frame = entry.tb_frame
    code = frame.f_code
    file = code.co_filename
    name = code.co_name
    lines = sources.get(file)
    if lines is None:
        lines = lines_finder()(file, frame.f_globals)
        sources[file] = lines
    if number > len(<list> lines):
        return None
    found = (<list> lines)[number - 1]
    if type(found) is not str or "\n" in file or "\n" in name:
        return None
    line = found
    below = marks_below(line, start, end)
    if below is None:
        return None
    return (f'  File "{file}", line {number}, in {name}\n    {line.strip()}\n{below}', hash((file, number, name)))


cdef str marks_below(str line, int start, int end):
    """The line with marks below `line[start:end]`, or "". None: only `traceback` knows."""
    cdef const unsigned char* data = <const unsigned char*> text_data(<PyObject*> line)
    cdef Py_ssize_t size = text_length_of(<PyObject*> line)
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t stop = size
    cdef Py_ssize_t i, shift
    cdef str marks
    if not line.isascii() or size == 0 or data[size - 1] != c'\n':
        return None
    while stop > 0 and (data[stop - 1] == c' ' or 0x09 <= data[stop - 1] <= 0x0D or 0x1C <= data[stop - 1] <= 0x1F):
        stop -= 1
    while first < stop and (data[first] == c' ' or data[first] == c'\t'):
        first += 1
    if not first <= start < end <= stop or data[first] == c'#':
        return None
    for i in range(first, stop):
        if not 0x20 <= data[i] < 0x7F:
            return None
    if has_no_parts(data + start, end - start):
        if end - start == stop - first:
            return ""
        marks = "^" * (end - start)
    else:
        marks = call_marker()(line[first:stop], start - first, end - first) if MARKS_CALLS and data[end - 1] == c')' else None
        if not marks:
            return marks
    # Before 3.13, spaces at the end of the line shift the marks.
    shift = start - first if MARKS_CALLS else max(0, start + 1 + stop - first - size)
    return f"    {' ' * shift}{marks}\n"


# Whether `traceback` marks all of a segment of source alike: it is no operation, no item and, from 3.13 on, no call.
cdef bint has_no_parts(const unsigned char* data, Py_ssize_t size) noexcept:
    cdef Py_ssize_t i
    cdef unsigned char c
    if size > 6 and memcmp(data, b"raise ", 6) == 0:
        return True
    for i in range(size):
        c = data[i]
        if not (
            c'a' <= c <= c'z' or c'A' <= c <= c'Z' or c'0' <= c <= c'9' or c == c'_' or c == c' ' or c == c',' or c == c'.'
            or c == c'=' or c == c':' or c == c'"' or c == c"'" or ((c == c'(' or c == c')') and not MARKS_CALLS)
        ):
            return False
    return True


if IS_PROBE:

    def quick_place_text(entry):
        """(text, number) of a traceback's entry where the core makes it itself; else None."""
        return quick_text(entry, {})
