# Secrets in messages that the caller's thread makes itself. What the flusher's thread makes is hidden there, in
# layout/redaction.pxd.
#
# Nothing is changed that belongs to the caller: a nested value with a secret is copied.

# Of other included files:
#   caller/calls.pxi: Producer
#   caller/json_value.pxi: MAX_JSON_DEPTH, MAX_JSON_ITEMS
#   caller/plain_value.pxi: is_enum, value_behind
#   control/core.pxi: Core
#   control/redaction.pxi: Redactor
#   layout/message_rules.pxi: Arguments, arguments_of, has_braces, parse_template, split_field_name

class Hidden(str):
    """The text that stands for a secret, whatever its placeholder asks for."""

    __slots__ = ()

    def __format__(self, specification):
        text = str.__str__(self)
        try:
            text = str.__format__(self, specification)
        except ValueError:  # it is that of a number or a date
            pass
        return text


cdef object HIDDEN = Hidden("[redacted]")


cdef class Hiding:
    """Finds what is hidden in nested values, and copies them without it. One is made for each message."""

    cdef Redactor redactor
    cdef Py_ssize_t items
    cdef list path                   # ids of the containers that the present one is in
    cdef int automatic               # number of the next placeholder that has none
    cdef Arguments arguments         # of a template that reads attributes or items
    cdef dict reached                # what these are without secrets, where they have some, by the names that they have got

    cdef bint hides(self, object name) except -1:
        if is_enum(type(name)):
            name = value_behind(name)
        if isinstance(name, bytes):
            name = bytes.decode(name, "utf-8", "backslashreplace")
        return isinstance(name, str) and self.redactor.hides(str.__str__(name))

    cdef bint enter(self, object value) except -1:
        """Returns False where a value is not looked into: it contains itself, or is too deep, or there are too many."""
        self.items += 1
        if id(value) in self.path or len(self.path) >= MAX_JSON_DEPTH or self.items > MAX_JSON_ITEMS:
            return False
        self.path.append(id(value))
        return True

    cdef bint finds(self, object value) except -1:
        """Whether a nested value has something to hide, or is too large to tell."""
        cdef bint found = False
        if not isinstance(value, (dict, list, tuple)):
            return False
        if not self.enter(value):
            return True
        names, values = names_and_values(value)
        for name in names:
            found = found or self.hides(name)
        found = found or self.is_pair(value, values)
        for item in values:
            if found:
                break
            found = self.finds(item)
        self.path.pop()
        return found

    cdef bint is_pair(self, object value, list values) except -1:
        """Whether these are the values of a list or tuple that is a name and its secret, as headers are."""
        return len(values) == 2 and not isinstance(value, dict) and self.hides(values[0])

    cdef object copy(self, object value):
        """A copy of a nested value: a dict, a list, or a tuple of the same type. Other values are returned as they are."""
        cdef list made = []
        cdef Py_ssize_t i
        if not isinstance(value, (dict, list, tuple)):
            return value
        if not self.enter(value):
            return "..."
        names, values = names_and_values(value)
        is_pair = self.is_pair(value, values)
        for i in range(len(values)):
            hides = (is_pair and i == 1) or (i < len(names) and self.hides(names[i]))
            made.append(HIDDEN if hides else self.copy(values[i]))
        self.path.pop()
        if isinstance(value, dict):
            return dict(zip(names, made))
        return tuple.__new__(type(value), made) if isinstance(value, tuple) else made

    cdef object shown(self, object value):
        self.items = 0
        self.path = []
        if not self.finds(value):
            return value
        self.items = 0
        self.path = []
        return self.copy(value)

    cdef tuple shown_args(self, tuple args):
        cdef list made = []
        for value in args:
            made.append(self.shown(value))
        return tuple(made)

    cdef dict shown_fields(self, dict fields):
        cdef dict made = {}
        for name in fields:
            made[name] = HIDDEN if self.hides(name) else self.shown(fields[name])
        return made

    cdef str shown_template(self, str template, tuple args, dict fields):
        """A template without the placeholders that read a hidden attribute or item: "[redacted]" stands there. Those that read a
        value with secrets in it read what `reached` has instead.
        """
        cdef str shown = template
        if template.find(".") < 0 and template.find("[") < 0:
            return template
        self.automatic = 0
        self.arguments = arguments_of(args, fields)
        try:
            shown = self.rebuilt(template)
        except ValueError:  # the braces do not parse, which whoever formats it finds out
            pass
        return shown

    cdef str rebuilt(self, str template):
        cdef list parts = []
        for literal, field, spec, conversion in parse_template(template):
            parts.append(literal.replace("{", "{{").replace("}", "}}"))
            if field is None:
                continue
            first, rest = split_field_name(field)
            if first == "":
                field = f"{self.automatic}{field}"
                self.automatic += 1
            hides = False
            for _, name in rest:
                hides = hides or self.hides(name)
            if rest is not None and not hides:
                field = self.reach(field)
            spec = self.rebuilt(spec) if has_braces(spec) else spec
            conversion = f"!{conversion}" if conversion else ""
            parts.append(HIDDEN if hides else f"{{{field}{conversion}{':' if spec else ''}{spec}}}")
        return "".join(parts)

    cdef str reach(self, str field):
        """The name of what stands for an attribute or item, where it has secrets in it; else `field`."""
        cdef str name = f"logly {len(self.reached)}"
        value = None
        try:
            value = self.arguments.value_of(field)
        except RecursionError:
            raise
        except Exception:
            pass  # whoever formats it finds out
        shown = self.shown(value)
        if shown is value:
            return field
        self.reached[name] = shown
        return name


cdef tuple names_and_values(object value):
    """Of a dict, or of a tuple whose items have names; else there are no names. No code of the value's class is called."""
    cdef list keys = []
    cdef list values = []
    if isinstance(value, dict):
        # In one step, because another thread may change it.
        for key, item in list(dict.items(value)):
            keys.append(key)
            values.append(item)
        return keys, values
    if isinstance(value, list):
        return (), list.copy(value)
    return names_of_items(value), list(tuple.__iter__(value))


cdef tuple names_of_items(object value):
    """The names that the items of a tuple have."""
    names = getattr(type(value), "_fields", ())
    return names if type(names) is tuple else ()


cdef Hiding hiding_of(Core core):
    """None: the logger hides no names."""
    cdef Redactor redactor = core.redactor
    if redactor is None or not redactor.names:
        return None
    hiding = <Hiding> Hiding.__new__(Hiding)
    hiding.redactor = redactor
    hiding.reached = {}
    return hiding


cdef list shown_items(Core core, object value, list items):
    """The items of a tuple for a text that does not have their names, from which the flusher could tell what to hide."""
    cdef Hiding hiding = hiding_of(core)
    cdef tuple names
    cdef Py_ssize_t i
    if hiding is None:
        return items
    names = names_of_items(value)
    for i in range(min(len(names), len(items))):
        if hiding.hides(names[i]):
            items[i] = "[redacted]"
    return items


cdef tuple shown_args(Core core, tuple args):
    """The arguments of a message without what the logger hides; the same tuple where there is nothing to hide."""
    cdef Hiding hiding = hiding_of(core)
    if hiding is None:
        return args
    made = hiding.shown_args(args)
    for before, after in zip(args, made):
        if before is not after:
            return made
    return args


def hidden_attributes(Producer logger not None, dict attributes not None, own_names):
    """What the logger hides of a record of `logging`: attributes without secrets, by name, where others have some.

    Args:
        attributes: the record's.
        own_names: those that each record has. Of these, the message and its arguments are looked at.
    """
    cdef Hiding hiding = hiding_of(logger.core)
    cdef dict changed = {}
    if hiding is None:
        return changed
    for name in attributes:
        value = attributes[name]
        if name in own_names and name != "msg" and name != "args":
            continue
        shown = HIDDEN if name not in own_names and hiding.hides(name) else hiding.shown(value)
        if shown is not value:
            changed[name] = shown
    return changed
