# The rules for the placeholders of a message. They are applied on the caller's thread.
#
# A message with positional arguments is a template that the program itself wrote, and str.format formats it. A message with
# fields alone may be text from outside (a request's path, in an f-string). So only plain names of given fields are filled in,
# and any other message stays as it is. In both cases no width and no precision may be above MAX_WIDTH, and no Decimal may have
# more zeros than that: neither a text nor a number from outside may decide how much memory its rendering takes.

from _string import formatter_field_name_split, formatter_parser
from logly.errors import show

# Of other included files:
#   system/threads.pxi: loaded_modules
#   text/owned_text.pxi: utf8

cdef enum:
    MAX_USES = 8             # how often one template may read one argument: bounds how often a large one is multiplied

cdef enum:
    MAX_WIDTH = 10000

# These are C variables because a __del__ may log after the interpreter has cleared every module.
cdef object parse_template = formatter_parser
cdef object split_field_name = formatter_field_name_split

cdef extern from *:
    int decimal_of "Py_UNICODE_TODECIMAL"(Py_UCS4 char) noexcept


cdef bint has_braces(str text) except -1:
    return text.find("{") >= 0 or text.find("}") >= 0


# ---- widths

# Reads the number at `at` and advances `at`. Returns at most MAX_WIDTH + 1. Python's formats accept the digits of any script.
cdef Py_ssize_t number_at(str spec, Py_ssize_t* at) noexcept:
    cdef Py_ssize_t value = 0
    while at[0] < len(spec) and decimal_of(spec[at[0]]) >= 0:
        value = min(10 * value + decimal_of(spec[at[0]]), MAX_WIDTH + 1)
        at[0] += 1
    return value


cdef Py_ssize_t skip_any(str spec, Py_ssize_t at, str chars) except -1:
    while at < len(spec) and spec[at] in chars:
        at += 1
    return at


# Does the specification begin like Python's own, with a width or a precision above MAX_WIDTH? This is asked for any kind of
# value, because a user's __format__ may pass the specification on. It is False where a directive of strftime follows ("%Y" in
# a date's specification).
cdef bint is_too_wide(str spec) except -1:
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t width, precision = 0
    if len(spec) > 1 and spec[1] in "<>=^":
        at = 2
    at = skip_any(spec, at, "<>=^+- z#")
    width = number_at(spec, &at)
    at = skip_any(spec, at, ",_")
    if at < len(spec) and spec[at] == ".":
        at += 1
        precision = number_at(spec, &at)
    return max(width, precision) > MAX_WIDTH and spec.find("%", at, max(at, len(spec) - 1)) < 0


cdef bint check_width(str spec) except -1:
    if is_too_wide(spec):
        raise ValueError(f"a width or a precision above {MAX_WIDTH:,} in the format specification {show(spec)}")
    return True


# Is the first digit of a Decimal so far from its point that a format that writes all digits would make a gigabyte of zeros?
# Twelve characters from outside ("1E+999999999") are enough for that. Other values take at most ten characters for each byte
# of theirs.
cdef bint is_too_long(object value, str spec) except -1:
    if not spec or spec[len(spec) - 1] not in "fF%":
        return False
    kind = getattr(loaded_modules.get("decimal"), "Decimal", None)
    if kind is None or not isinstance(value, kind) or not kind.is_finite(value):
        return False
    return not -MAX_WIDTH <= kind.adjusted(value) <= MAX_WIDTH


cdef bint check_length(object value, str spec) except -1:
    if is_too_long(value, spec):
        raise ValueError(f"a Decimal of more than {MAX_WIDTH:,} digits in the format {show(spec)}: {show(str(value))}")
    return True


# Could the template make something too wide? Yes where it has five digits in a row, or a brace within braces ("{{" counts, too,
# although it is a literal brace), or a format that may be a Decimal's. Nearly no template has any of these.
cdef bint may_be_too_wide(str template) except -1:
    cdef Py_UCS4 char, last = 0
    cdef Py_ssize_t digits = 0
    cdef bint inside = False
    for char in template:
        if char == c"{":
            if inside:
                return True
            inside = True
        elif char == c"}":
            inside = False
            if last in "fF%" and "decimal" in loaded_modules:
                return True
        last = char
        digits = digits + 1 if decimal_of(char) >= 0 else 0
        if digits == 5:
            return True
    return False


cdef object converted(object value, object conversion):
    if not conversion:
        return value
    if conversion == "r":
        return repr(value)
    if conversion == "s":
        return str(value)
    if conversion == "a":
        return ascii(value)
    raise ValueError(f"unknown conversion {conversion!r}")


cdef class Arguments:
    """Finds the values of a template's placeholders as str.format does."""

    cdef object value_of(self, str field):
        first, rest = split_field_name(field)
        if first == "":
            first = self.automatic
            self.automatic += 1
        value = self.args[first] if isinstance(first, int) else self.fields[first]
        for is_attribute, name in rest:
            value = getattr(value, name) if is_attribute else value[name]
        return value

    cdef str expanded(self, str spec):
        """The specification with its own placeholders filled in."""
        cdef list parts = []
        for literal, field, inner, conversion in parse_template(spec):
            parts.append(literal)
            if field is not None:
                value = converted(self.value_of(field), conversion)
                if has_braces(inner):
                    raise ValueError("a placeholder within a placeholder within a placeholder")
                check_width(inner)
                check_length(value, inner)
                parts.append(str.__str__(format(value, inner)))
        return "".join(parts)

    cdef bint check_widths(self, str template) except -1:
        """Raises where str.format would make something too wide. It may also raise for mistakes that str.format would report."""
        cdef Py_ssize_t number
        for _, field, spec, conversion in parse_template(template):
            if field is None:
                continue
            number = self.automatic
            if split_field_name(field)[0] == "":
                self.automatic += 1
            spec = self.expanded(spec) if has_braces(spec) else spec
            check_width(spec)
            if not conversion and spec and spec[len(spec) - 1] in "fF%":
                number, self.automatic = self.automatic, number
                check_length(self.value_of(field), spec)
                self.automatic = number
        return True


cdef Arguments arguments_of(tuple args, dict fields):
    cdef Arguments arguments = Arguments.__new__(Arguments)
    arguments.args = args
    arguments.fields = fields
    return arguments


cdef str formatted(str template, tuple args, dict fields):
    """What str.format gives; raises where a width is above MAX_WIDTH."""
    cdef object text
    if may_be_too_wide(template):
        arguments_of(args, fields).check_widths(template)
    # A template that is one placeholder may return the argument itself, which may be of a subclass of str.
    text = (<object> template).format(*args, **fields)
    return text if type(text) is str else str.__str__(text)


# ---- fields alone

cdef bint is_given(str field, object conversion, dict fields) except -1:
    """Is `field` the plain name of a given field: no attribute, no item, no number?"""
    return (
        field in fields and field.find(".") < 0 and field.find("[") < 0 and not field.isdecimal() and len(field) > 0
        and (not conversion or conversion in "rsa")
    )


cdef bint names_fields_only(str template, dict fields) except -1:
    """Is there a placeholder, and is each one (also in specifications) the plain name of a given field?"""
    cdef bint found = False
    try:
        for _, field, spec, conversion in parse_template(template):
            if field is None:
                continue
            if not is_given(field, conversion, fields) or (has_braces(spec) and not names_fields_within(spec, fields)):
                return False
            found = True
    except ValueError:
        found = False  # the braces do not parse
    return found


cdef bint names_fields_within(str spec, dict fields) except -1:
    for _, field, inner, conversion in parse_template(spec):
        if field is not None and (has_braces(inner) or not is_given(field, conversion, fields)):
            return False
    return True


cdef str filled(str template, dict fields, Py_ssize_t limit):
    """Fills a template that `names_fields_only` with the values of the fields, up to about `limit` characters."""
    cdef Arguments arguments = arguments_of((), fields)
    cdef list parts = []
    cdef Py_ssize_t size = 0
    cdef str text
    if template.count("{") <= MAX_USES and not may_be_too_wide(template):
        return formatted(template, (), fields)
    for literal, field, spec, conversion in parse_template(template):
        if size > limit:
            # The template may name a long value again and again. What would be cut off in the end is not made.
            return cut_front("".join(parts), limit, "[logly: cut, and there is more to come]")
        parts.append(literal)
        size += len(literal)
        if field is not None:
            if has_braces(spec):
                spec = arguments.expanded(spec)
            check_width(spec)
            value = converted(fields[field], conversion)
            check_length(value, spec)
            text = str.__str__(format(value, spec))
            parts.append(text)
            size += len(text)
    return "".join(parts)


cdef str cut_front(str text, Py_ssize_t limit, str mark):
    """The beginning of the text, then the mark, in `limit` bytes of UTF-8 (more if the mark alone needs more)."""
    cdef Py_ssize_t kept = max(limit - len(mark) - 1, 0)
    return utf8(text[:kept])[:kept].decode("utf-8", "ignore") + " " + mark
