"""
What a value may have been before somebody mistyped it or a camera misread it.

Tolerant matching is exact look-ups of every value one slip away. The lists are short and do
not grow with the members: a phone has 99 neighbours, a plate at most `PLATE_VARIANTS_MAX`.
Two slips would take thousands of keys and return mostly strangers.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import combinations
from typing import TYPE_CHECKING

from forecourt.errors import InvalidIdentity
from forecourt.identity import PROVINCES, normalise
from forecourt.sales import SURE_PERCENT, EvidenceKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PHONE_DIGITS = 11
PHONE_KEYS_MAX = 100  # what DynamoDB takes in one BatchGetItem
PLATE_VARIANTS_MAX = 24

_DIGITS = "0123456789"
_BLOCK_DIGITS = 7  # numbers are given to operators and cities in blocks of ten thousand

# What a reader of plates takes for one another, likeliest first.
_CONFUSED_WITH = {
    "0": "DQ8", "D": "0Q", "Q": "0D", "1": "L7T", "L": "1", "T": "17", "7": "1TZ", "2": "Z",
    "Z": "27", "5": "S6", "S": "5", "6": "G58", "G": "6C", "C": "G", "8": "B03", "B": "8",
    "3": "8", "4": "A", "A": "4", "V": "YU", "Y": "V", "U": "V", "H": "N", "N": "HM", "M": "N",
    "E": "F", "F": "E", "P": "R", "R": "P", "K": "X", "X": "K",
    "云": "皖", "皖": "云甘", "甘": "皖", "苏": "赣", "赣": "苏", "京": "晋", "晋": "京鲁",
    "鲁": "晋", "浙": "渝", "渝": "浙", "湘": "豫", "豫": "湘",
}  # fmt: skip

# What a reader writes that no plate begins with.
_NO_PROVINCE = {"象": "豫", "翼": "冀", "夹": "陕", "沂": "浙", "晥": "皖", "睆": "皖"}
# 黑 is a colour and a province: it is a prefix only where a plate still follows.
_COLOUR = re.compile(
    rf"^(?:渐变绿|黄绿|[蓝黄绿白黑])[色牌]?(?=[{PROVINCES}象翼夹沂晥睆]|WJ|使|[0-9])"
)
_IMPOSSIBLE_IN_SERIAL = str.maketrans("IO", "10")


def phone_neighbours(phone: str) -> tuple[str, ...]:
    """
    Return the 99 numbers or fewer that one substitution or one adjacent swap makes of *phone*.

    The leading 1 stays: nobody mistypes what every mobile number begins with.
    """
    found: dict[str, None] = {}
    for place in range(1, PHONE_DIGITS):
        for digit in _DIGITS:
            found[phone[:place] + digit + phone[place + 1 :]] = None
    for place in range(1, PHONE_DIGITS - 1):
        swapped = phone[place + 1] + phone[place]
        found[phone[:place] + swapped + phone[place + 2 :]] = None
    del found[phone]
    return tuple(found)


def meant_phones(typed: str) -> tuple[str, ...]:
    """
    Return what somebody who typed *typed* may have meant, what they typed itself first.

    With a digit missing there are at most 91 numbers, with one too many at most 11. Raise
    `InvalidIdentity` when no single slip makes a mobile number of it.
    """
    try:
        phone = normalise(EvidenceKind.PHONE, typed)
    except InvalidIdentity:
        digits = "".join(each for each in unicodedata.normalize("NFKC", typed) if each in _DIGITS)
        meant = tuple(dict.fromkeys(_with_one_digit_more_or_less(digits)))
        if not meant:
            raise
        return meant
    return (phone, *(each for each in phone_neighbours(phone) if _mobile(each)))


def phone_block(phone: str) -> str:
    """Return which block of ten thousand numbers *phone* is in."""
    return phone[:_BLOCK_DIGITS]


def read_plate(text: str) -> str:
    """
    Return the one spelling of a plate as a camera tells it.

    On top of `identity.normalise`: a two-tone colour goes, a character that is only written
    like a province becomes it, and serials have no I and no O, so these are 1 and 0.
    """
    plate = "".join(unicodedata.normalize("NFKC", text).split()).upper()
    plate = _COLOUR.sub("", plate)
    plate = _NO_PROVINCE.get(plate[:1], plate[:1]) + plate[1:]
    if plate[:1] in PROVINCES:
        plate = plate[:2] + plate[2:].translate(_IMPOSSIBLE_IN_SERIAL)
    return normalise(EvidenceKind.PLATE, plate)


def plate_variants(plate: str, confidences: Sequence[int] | None = None) -> tuple[str, ...]:
    """
    Return the plates that *plate* may have been, likeliest first, *plate* itself not among them.

    One character taken for another of its confusion class; with *confidences* (percent, one
    a character) the least sure characters come first, and two of them may both be wrong.
    """
    sure = confidences if confidences and len(confidences) == len(plate) else [100] * len(plate)
    order = sorted(range(len(plate)), key=lambda place: (sure[place], place))
    doubtful = [place for place in order if sure[place] < SURE_PERCENT]
    ranked = [
        *_replaced(plate, [[place] for place in doubtful]),
        *_replaced(plate, combinations(doubtful[:3], 2)),
        *_replaced(plate, [[place] for place in order if place not in doubtful]),
    ]
    valid = dict.fromkeys(each for each in ranked if each != plate and _is_plate(each))
    return tuple(valid)[:PLATE_VARIANTS_MAX]


def _with_one_digit_more_or_less(digits: str) -> Iterator[str]:
    if len(digits) == PHONE_DIGITS - 1:
        for place in range(1, PHONE_DIGITS):
            for digit in _DIGITS:
                yield from _only_mobile(digits[:place] + digit + digits[place:])
    elif len(digits) == PHONE_DIGITS + 1:
        for place in range(1, PHONE_DIGITS + 1):
            yield from _only_mobile(digits[:place] + digits[place + 1 :])


def _only_mobile(text: str) -> Iterator[str]:
    if _mobile(text):
        yield text


def _mobile(text: str) -> bool:
    return text[0] == "1" and text[1] >= "3"


def _replaced(plate: str, places: Iterable[Iterable[int]]) -> Iterator[str]:
    for chosen in places:
        made = [plate]
        for place in chosen:
            made = [
                each[:place] + other + each[place + 1 :]
                for each in made
                for other in _CONFUSED_WITH.get(plate[place], "")
            ]
        yield from made


def _is_plate(text: str) -> bool:
    try:
        return normalise(EvidenceKind.PLATE, text) == text
    except InvalidIdentity:
        return False
