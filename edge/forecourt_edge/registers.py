"""
Values in 16-bit Modbus registers, decoded and encoded.

Word orders are named by where the bytes A (most significant) to D of a 32-bit value
appear on the wire.  For values of other lengths the same names mean: `CDAB` words
reversed, `BADC` the bytes of each word swapped, `DCBA` both.  A value of one word
has no word order: Modbus itself fixes its bytes.

Numbers are `Decimal` in the unit the profile states; there is no float on the way
out.  A float32 register that holds 45.23 decodes as 45.22999954..., so it is rounded
to the profile's scale.
"""

from __future__ import annotations

import math
import struct
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from forecourt_edge.errors import RegisterFault

if TYPE_CHECKING:
    from collections.abc import Sequence

READ_REGISTERS_MAX = 125  # The Modbus application protocol answers no more in one read.
REGISTER_MAX = 0xFFFF
BCD_WORDS_MAX = 6
BCD_DIGITS_PER_WORD = 4
_STEPS_MIN = Decimal("0.001")


class WordOrder(StrEnum):
    """Where the bytes of a value of several words stand on the wire."""

    ABCD = "ABCD"
    CDAB = "CDAB"
    BADC = "BADC"
    DCBA = "DCBA"


class RegisterType(StrEnum):
    """How the bits of a value are meant."""

    U16 = "u16"
    U32 = "u32"
    I32 = "i32"
    F32 = "f32"
    BCD = "bcd"
    ASCII = "ascii"


WORDS_OF = {RegisterType.U16: 1, RegisterType.U32: 2, RegisterType.I32: 2, RegisterType.F32: 2}


def reorder(words: Sequence[int], order: WordOrder) -> list[int]:
    """Turn wire order into `ABCD` or back: each order is its own inverse."""
    if len(words) == 1 or order is WordOrder.ABCD:
        return list(words)
    arranged = list(words)
    if order in (WordOrder.CDAB, WordOrder.DCBA):
        arranged.reverse()
    if order in (WordOrder.BADC, WordOrder.DCBA):
        arranged = [swap_bytes(word) for word in arranged]
    return arranged


def swap_bytes(word: int) -> int:
    return (word & 0xFF) << 8 | word >> 8


def decode_number(
    words: Sequence[int],
    kind: RegisterType,
    order: WordOrder = WordOrder.ABCD,
    scale: Decimal = Decimal(1),
    *,
    field: str = "value",
) -> Decimal:
    """
    Return the number in *words* in the profile's unit.

    An integer or BCD register counts steps of *scale*; a float register holds the
    value itself and *scale* is the step it is rounded to.  Raises `RegisterFault`
    for a float that is no number and for a nibble that is no decimal digit.
    """
    arranged = reorder(words, order)
    match kind:
        case RegisterType.U16 | RegisterType.U32:
            return _big_endian(arranged) * scale
        case RegisterType.I32:
            raw = _big_endian(arranged)
            return (raw - (1 << 32) if raw >> 31 else raw) * scale
        case RegisterType.BCD:
            return _from_bcd(arranged, field) * scale
        case RegisterType.F32:
            return _from_float(_big_endian(arranged), scale, field)
        case RegisterType.ASCII:
            raise RegisterFault(field=field, reason="text, not a number")


def encode_number(
    value: Decimal | int,
    kind: RegisterType,
    words: int,
    order: WordOrder = WordOrder.ABCD,
    scale: Decimal = Decimal(1),
    *,
    field: str = "value",
) -> list[int]:
    """
    Return the registers that `decode_number` reads as *value*.

    Raises `RegisterFault` when *value* is no whole number of steps of *scale* or
    does not fit: a register never holds a silently rounded or truncated value.
    """
    steps = Decimal(value) / scale
    if steps != steps.to_integral_value():
        raise RegisterFault(field=field, reason=f"{value} is no multiple of {scale}")
    whole = int(steps)
    match kind:
        case RegisterType.U16 | RegisterType.U32:
            low, high, raw = 0, (1 << 16 * words) - 1, whole
        case RegisterType.I32:
            low, high, raw = -(1 << 31), (1 << 31) - 1, whole & 0xFFFFFFFF
        case RegisterType.BCD:
            low, high = 0, int(10 ** (BCD_DIGITS_PER_WORD * words)) - 1
            raw = int(str(whole), 16) if whole >= 0 else 0
        case RegisterType.F32:
            low, high = whole, whole
            raw = int.from_bytes(struct.pack(">f", float(value)), "big")
        case RegisterType.ASCII:
            raise RegisterFault(field=field, reason="text, not a number")
    if not low <= whole <= high:
        raise RegisterFault(field=field, reason=f"{value} does not fit {words} words of {kind}")
    arranged = [raw >> 16 * (words - 1 - index) & REGISTER_MAX for index in range(words)]
    encoded = reorder(arranged, order)
    if kind is RegisterType.F32 and decode_number(encoded, kind, order, scale) != value:
        raise RegisterFault(field=field, reason=f"{value} is beyond the precision of a float32")
    return encoded


def decode_text(
    words: Sequence[int], order: WordOrder = WordOrder.ABCD, *, field: str = "text"
) -> str:
    """Return the text without its padding (NUL, blanks, 0xFF of erased memory)."""
    raw = b"".join(word.to_bytes(2, "big") for word in reorder(words, order))
    raw = raw.split(b"\x00", 1)[0].rstrip(b"\xff").strip(b" ")
    if any(not 0x20 <= byte < 0x7F for byte in raw):  # noqa: PLR2004 - printable ASCII
        raise RegisterFault(field=field, reason="not printable ASCII")
    return raw.decode("ascii")


def encode_text(
    text: str, words: int, order: WordOrder = WordOrder.ABCD, *, field: str = "text"
) -> list[int]:
    """Return *text* padded with NUL; raise `RegisterFault` when it does not fit."""
    if not text.isascii() or len(text) > 2 * words:
        raise RegisterFault(field=field, reason=f"not {2 * words} characters of ASCII")
    raw = text.encode("ascii").ljust(2 * words, b"\x00")
    arranged = [int.from_bytes(raw[index : index + 2], "big") for index in range(0, len(raw), 2)]
    return reorder(arranged, order)


def _big_endian(words: Sequence[int]) -> int:
    raw = 0
    for word in words:
        raw = raw << 16 | word
    return raw


def _from_bcd(words: Sequence[int], field: str) -> int:
    digits = "".join(f"{word:04x}" for word in words)
    if not digits.isdecimal():
        raise RegisterFault(field=field, reason=f"no packed BCD: {digits}")
    return int(digits)


def _from_float(raw: int, scale: Decimal, field: str) -> Decimal:
    value: float = struct.unpack(">f", raw.to_bytes(4, "big"))[0]
    if not math.isfinite(value):
        raise RegisterFault(field=field, reason="not a finite number")
    # A float32 of wrong word order is often astronomic; dividing first keeps it within the
    # precision of the decimal context or refuses it here.
    steps = Decimal(value) / scale
    if abs(steps) > 1 << 53:
        raise RegisterFault(field=field, reason="beyond every meter's range")
    # The words of 45.23 in wrong order are 1e-8 or smaller: nothing a meter would show.
    if raw & 0x7FFFFFFF and abs(steps) < _STEPS_MIN:
        raise RegisterFault(field=field, reason="a trace of a step, not a value")
    return steps.to_integral_value(ROUND_HALF_EVEN) * scale
