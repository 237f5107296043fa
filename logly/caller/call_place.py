"""What a program does with the result of a call, read from its bytecode: is a method of it called at once?"""

from __future__ import annotations

import opcode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

__all__ = ["calls_method_of_result"]

_EXTENDED_ARG = opcode.opmap["EXTENDED_ARG"]
_LOAD_ATTR = opcode.opmap["LOAD_ATTR"]
_LOAD_METHOD = opcode.opmap.get("LOAD_METHOD", 256)
"""Only of CPython 3.11 is it in bytecode. Later the lowest bit of LOAD_ATTR's argument says that a method is called."""
_CACHE = 0


def calls_method_of_result(code: CodeType, instruction: int) -> bool:
    """Whether `code` calls a method of what the call at this instruction returns, as in ``logger.once().info("text")``.

    Args:
        code: of the frame that calls.
        instruction: offset of the call in bytes.
    """
    bytecode = code.co_code  # as it was compiled: without specialized instructions
    at = instruction + 2
    while at + 1 < len(bytecode) and bytecode[at] in (_CACHE, _EXTENDED_ARG):
        at += 2
    if instruction < 0 or at + 1 >= len(bytecode):
        return False
    if _LOAD_METHOD < 256:
        return bytecode[at] == _LOAD_METHOD
    return bytecode[at] == _LOAD_ATTR and bool(bytecode[at + 1] & 1)
