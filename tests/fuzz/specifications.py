"""Format specifications, right and wrong: for messages and for layouts."""

from __future__ import annotations

from random import Random

from .target import mutated, some_character

ALPHABET = "<>=^+- z#0123456789,_.bcdoxXneEfFgG%s*{}!:é٣😀\0"
SPECIFICATIONS = (
    "", "5", "<8", ">8", "^8", "*^20", "08", "é>6", "+", " ", ",", "_", "=8", "0=8", "#", "010,", "z.1f", "e", ".3e",
    ".4g", "#.3g", ".1%", ".0f", ".2f", "08.2f", "*>12.3f", ",.2f", "012,.2f", ".300f", "d", "05d", "+d", ",d", "#x",
    "#010x",
    "b", "#o", "_x", "016_b", ".3", "10.3", "s", "10s", ".5s", "→^9s", "4096", "4097", ".400", ".401f", "n", "c",
)  # fmt: skip


def some_specification(chance: Random) -> str:
    if chance.random() < 0.5:
        return mutated(chance, chance.choice(SPECIFICATIONS), ALPHABET, chance.randrange(4))
    fill = chance.choice(("", "", "*", "0", "é", "😀", "{", "\0", some_character(chance)))
    align = chance.choice("<>=^")
    return "".join(
        (
            fill + align if chance.random() < 0.5 else "",
            chance.choice(("", "", "+", "-", " ")),
            chance.choice(("", "", "", "z")),
            chance.choice(("", "", "#")),
            chance.choice(("", "", "0")),
            str(chance.randrange(40)) if chance.random() < 0.5 else chance.choice(("", "500", "4096", "007")),
            chance.choice(("", "", ",", "_")),
            f".{chance.randrange(25)}" if chance.random() < 0.5 else chance.choice(("", ".", ".300", ".400")),
            chance.choice(("", *"bcdoxXneEfFgG%s")),
        )
    )
