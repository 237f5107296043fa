# The fields of the current context: what contextualize() sets inside a ``with``, and set_context() for the rest of the context.
#
# A ContextVar holds a chain of blocks, the innermost first. Each has the fields of the blocks around it and its own. The
# block of a ``with`` is taken out of the chain when the ``with`` is left, and the blocks inside it stay. All of this is compiled,
# so that no signal handler runs between the look at the variable and its change.

from logly.ring.record cimport MAX_FIELD_BYTES

# Of other included files:
#   caller/fields.pxi: FieldBlock
#   caller/values.pxi: native_fields
#   control/core.pxi: Core


cdef class ContextFields(FieldBlock):
    """A block that knows what set it.

    Attributes:
        own: the fields without those of the blocks around it.
        owner: the `ContextGuard` whose ``with`` it belongs to, or None: set_context() has set it.
    """
    cdef dict own
    cdef object owner


# Two neighbours that set_context() has set become one, so that the chain does not grow in a context that lives long.
cdef ContextFields context_fields(dict native, ContextFields outer, object owner):
    cdef ContextFields block = ContextFields.__new__(ContextFields)
    if owner is None and outer is not None and outer.owner is None:
        native = {**outer.own, **native}
        outer = <ContextFields> outer.outer
    block.own = native
    block.owner = owner
    block.fill(native, outer)
    return block


# The chain of blocks without the innermost one of `owner`. This is not always the last one, because a generator may be suspended
# inside a ``with``.
cdef ContextFields without_block(ContextFields block, object owner):
    cdef ContextFields outer
    if block is None:
        return None
    if block.owner is owner:
        return <ContextFields> block.outer
    outer = without_block(<ContextFields> block.outer, owner)
    return block if outer is block.outer else context_fields(block.own, outer, block.owner)


cdef class ContextGuard:
    """Fields for the current context, inside the ``with``. Reusable, and by several threads and tasks at once.

    It is compiled for another reason, too: if a signal handler raised between the change of the context and the ``with``, the
    fields would stay for ever.

    Args:
        variable: the ContextVar that holds the context's fields.
        fields: names and values.
        core: as of a FieldBlock.
    """
    cdef object variable
    cdef dict fields
    cdef Core core

    def __init__(self, variable, dict fields not None, Core core=None):
        self.variable = variable
        self.fields = fields
        self.core = core

    def __enter__(self):
        cdef dict native = native_fields(self.fields, MAX_FIELD_BYTES, self.core)
        self.variable.set(context_fields(native, self.variable.get(None), self))
        return self

    def __exit__(self, kind, error, trace):
        # The blocks to go back to are in the context itself, so that one object serves several contexts. An async generator may
        # be closed in a context in which it never ran; that context has no block of ours.
        self.variable.set(without_block(self.variable.get(None), self))


def set_context(variable, dict fields not None, Core core not None):
    """Adds these fields to the current context, for the rest of it."""
    cdef dict native = native_fields(fields, MAX_FIELD_BYTES, core)
    variable.set(context_fields(native, variable.get(None), None))


def clear_context(variable):
    """Takes all fields away that the current context has, those of a ``with`` around the call included."""
    variable.set(None)
