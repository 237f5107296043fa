"""A batch of which the other side has taken a part: which of its records are written, refused, or to be sent again."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Parts"]

WRITTEN, FAILED, KEPT = 0, 1, 2
"""`BatchFate` in flusher/batch.pxd."""


class Parts:
    """The lines of a batch, by record. A record may have more than one line: a heading, or a traceback.

    Args:
        serial: of the batch.
        lines: all of its lines.
        ends: where the lines of each record end.
    """

    def __init__(self, serial: int, lines: bytes, ends: list[int]) -> None:
        self.serial = serial
        begins = [0, *ends[:-1]]
        self._pieces = [lines[begin:end] for begin, end in zip(begins, ends, strict=True)]

    @property
    def lines(self) -> bytes:
        """What is left of the batch."""
        return b"".join(self._pieces)

    def settle(self, again: Iterable[int], refused: Iterable[int] | int) -> tuple[bytes, int]:
        """Keeps what is to be sent again.

        Args:
            again: the numbers of lines (from 0 on, in what was sent) that are sent again.
            refused: the numbers of lines that are given up; or how many, where nobody knows which: the last ones.

        Returns:
            The fate of each record that was left until now, and how many of them are given up. A record is sent again
            if one of its lines is, and given up if one of its lines is and none is sent again.
        """
        again_lines = set(again)
        refused_lines: set[int] = set() if isinstance(refused, int) else set(refused)
        fates = bytearray()
        first = 0
        for piece in self._pieces:
            after = first + max(1, piece.count(b"\n"))
            numbers = range(first, after)
            if not again_lines.isdisjoint(numbers):
                fates.append(KEPT)
            else:
                fates.append(WRITTEN if refused_lines.isdisjoint(numbers) else FAILED)
            first = after
        if isinstance(refused, int):
            self._refuse_last(fates, refused)
        self._pieces = [piece for piece, fate in zip(self._pieces, fates, strict=True) if fate == KEPT]
        return bytes(fates), fates.count(FAILED)

    @staticmethod
    def _refuse_last(fates: bytearray, count: int) -> None:
        for number in range(len(fates) - 1, -1, -1):
            if count > 0 and fates[number] == WRITTEN:
                fates[number] = FAILED
                count -= 1
