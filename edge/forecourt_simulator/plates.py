"""
Chinese number plates: made, recognised by grammar, and misread the way cameras misread them.

An ordinary plate has seven characters: province, authority, five of a serial without I and O.
A new-energy plate has eight: a small vehicle's serial begins with a type letter, a large one's
ends with it. D, A, B, C and E are pure electric, F, G, H, J and K carry an engine as well.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
DIGITS = "0123456789"
ELECTRIC_TYPES = "DABCE"
HYBRID_TYPES = "FGHJK"

_ORDINARY = re.compile(f"[{PROVINCES}][{LETTERS}][{LETTERS}{DIGITS}]{{5}}")
_NEW_ENERGY_SMALL = re.compile(
    f"[{PROVINCES}][{LETTERS}]([{ELECTRIC_TYPES}{HYBRID_TYPES}])[{LETTERS}{DIGITS}][0-9]{{4}}"
)
_NEW_ENERGY_LARGE = re.compile(
    f"[{PROVINCES}][{LETTERS}][0-9]{{5}}([{ELECTRIC_TYPES}{HYBRID_TYPES}])"
)

# Characters a reader takes for one another, most likely first.
_CONFUSED_WITH = {
    "0": "DQ", "D": "0Q", "Q": "0D", "1": "L7", "L": "1", "7": "1", "2": "Z", "Z": "2",
    "5": "S", "S": "5", "8": "B", "B": "8", "6": "G", "G": "6", "V": "YU", "Y": "VU", "U": "VY",
    "云": "皖", "甘": "皖", "皖": "云甘",
}  # fmt: skip

# How often a serial has a letter in none, one or two of its places.
_SERIAL_LETTERS = (0, 0, 1, 1, 1, 2)
_SERIAL_LENGTH = 5


class PlateColour(StrEnum):
    BLUE = "blue"
    YELLOW = "yellow"
    GREEN = "green"


class Energy(StrEnum):
    """What a plate says about what drives the vehicle."""

    COMBUSTION = "combustion"
    HYBRID = "hybrid"
    ELECTRIC = "electric"


def energy_of(plate: str) -> Energy | None:
    """Return what *plate* says about the vehicle, `None` when it is no plate by grammar."""
    if _ORDINARY.fullmatch(plate):
        return Energy.COMBUSTION
    match = _NEW_ENERGY_SMALL.fullmatch(plate) or _NEW_ENERGY_LARGE.fullmatch(plate)
    if match is None:
        return None
    return Energy.ELECTRIC if match[1] in ELECTRIC_TYPES else Energy.HYBRID


def draw_plate(rng: Random, *, province: str, energy: Energy = Energy.COMBUSTION) -> str:
    """Return a plate of *province*; new-energy ones are those of small vehicles."""
    authority = rng.choice(LETTERS[:10])
    if energy is Energy.COMBUSTION:
        serial = rng.choices(DIGITS, k=_SERIAL_LENGTH)
        for place in rng.sample(range(_SERIAL_LENGTH), k=rng.choice(_SERIAL_LETTERS)):
            serial[place] = rng.choice(LETTERS)
        return province + authority + "".join(serial)
    kind = rng.choice(ELECTRIC_TYPES if energy is Energy.ELECTRIC else HYBRID_TYPES)
    second = rng.choice(LETTERS + DIGITS)
    return province + authority + kind + second + "".join(rng.choices(DIGITS, k=4))


def misread(rng: Random, plate: str) -> tuple[str, int]:
    """
    Return *plate* with one character taken for another, and that character's place.

    A plate without any confusable character loses its certainty in a digit.
    """
    places = [place for place, character in enumerate(plate) if character in _CONFUSED_WITH]
    if places:
        place = rng.choice(places)
        wrong = rng.choice(_CONFUSED_WITH[plate[place]])
    else:
        place = len(plate) - 1
        wrong = rng.choice([digit for digit in DIGITS if digit != plate[place]])
    return plate[:place] + wrong + plate[place + 1 :], place
