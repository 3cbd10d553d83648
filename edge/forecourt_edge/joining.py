"""
Which plate belongs to which sale.  Pure.

A camera sees the car before the driver lifts the nozzle: of the plates seen at the nozzle
up to the lift, the last one is the car's.  When none was, the first one seen while the
fuel flowed is.  Plates that another sale took lately are other cars, still standing there.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecourt_edge.config import JoiningConfig

PLATE = "plate"

_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_COLOURS = re.compile(rf"^(?:渐变绿|黄绿|[蓝黄绿白黑])(?=[{_PROVINCES}][A-Z])")
_SEPARATORS = re.compile(r"[\s·•.\-_]+")
_SHAPE = re.compile(r"[A-Z0-9\u4e00-\u9fff]{4,10}")
_NO_PLATE = re.compile(r"[无未]|UNKNOWN|NOPLATE")
_SERIAL = "[A-HJ-NP-Z0-9]"
_ORDINARY = rf"[{_PROVINCES}][A-Z]{_SERIAL}{{4}}(?:{_SERIAL}|[挂学警港澳])"
_NEW_ENERGY = rf"[{_PROVINCES}][A-Z](?:[A-HJK]{_SERIAL}[0-9]{{4}}|[0-9]{{5}}[A-HJK])"
_VALID = re.compile(rf"{_ORDINARY}|{_NEW_ENERGY}")

_CLOCK_STEP_SECONDS = 1  # Device times are cut to whole seconds.
_AMBIGUOUS_CONFIDENCE = 50  # In percent: as likely one car as the other.


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Evidence seen at nozzles; times in seconds of the gateway's clock."""

    sighting_id: int
    camera: str
    kind: str
    value: str
    confidence: int | None
    nozzles: tuple[int, ...]
    seen_at: float
    used_at: float | None = None
    character_confidences: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What goes into the sale, and which sightings are spent with it."""

    sightings: tuple[Sighting, ...]
    spent: tuple[int, ...]


def tidy_plate(text: str) -> str | None:
    """
    Return the plate without colour prefix and separators, `None` when it names none.

    `蓝浙A·12345` is `浙A12345`.  `黑A12345` keeps its first character: it is a province
    before a letter and a colour before a province.
    """
    plain = _SEPARATORS.sub("", unicodedata.normalize("NFKC", text).upper())
    plate = _COLOURS.sub("", plain)
    if _NO_PLATE.search(plate) or not _SHAPE.fullmatch(plate):
        return None
    return plate


def same_read(first: str, second: str) -> bool:
    """Return whether two reads differ by at most one substituted, missing or extra character."""
    if first == second:
        return True
    if len(first) == len(second):
        return sum(one != other for one, other in zip(first, second, strict=True)) <= 1
    shorter, longer = sorted((first, second), key=len)
    if len(longer) - len(shorter) > 1:
        return False
    return any(longer[:at] + longer[at + 1 :] == shorter for at in range(len(longer)))


def better_read(first: Sighting, value: str, confidence: int | None) -> bool:
    """Return whether a second read of the same car is to replace the first."""
    ranks = (_VALID.fullmatch(value) is not None, confidence or 0)
    return ranks > (_VALID.fullmatch(first.value) is not None, first.confidence or 0)


def join(
    sightings: Sequence[Sighting],
    *,
    nozzle: int,
    lifted_at: float | None,
    completed_at: float,
    config: JoiningConfig,
) -> Joined:
    """
    Return what was seen of the driver of one sale.

    *sightings* are those at the nozzle and every plate used lately, oldest first.  Times
    are the gateway's; *lifted_at* is `None` when the pump does not tell.
    """
    reused_after = completed_at - config.reuse_pause_seconds
    elsewhere = {
        each.value
        for each in sightings
        if each.kind == PLATE and each.used_at is not None and each.used_at > reused_after
    }
    begins = (lifted_at or completed_at) - config.arrival_window_seconds
    open_ = [
        each
        for each in sightings
        if each.used_at is None
        and nozzle in each.nozzles
        and begins <= each.seen_at <= completed_at + _CLOCK_STEP_SECONDS
    ]
    plates = [each for each in open_ if each.kind == PLATE and each.value not in elsewhere]
    told = [each for each in open_ if each.kind != PLATE]
    chosen = _car_at_lift(plates, lifted_at, config)
    # What was told at the till holds for this sale only, the superseded words included.
    spent = {each.sighting_id for each in told}
    latest = {each.kind: each for each in told}
    if chosen is None:
        return Joined(sightings=tuple(latest.values()), spent=tuple(spent))
    spent |= {each.sighting_id for each in plates if each.value == chosen.value}
    # Whoever stood at this nozzle alone before this car has left without fuelling.
    spent |= {
        each.sighting_id
        for each in plates
        if each.nozzles == (nozzle,) and each.seen_at <= chosen.seen_at
    }
    return Joined(
        sightings=(_doubted(chosen, plates, lifted_at, config), *latest.values()),
        spent=tuple(spent),
    )


def _car_at_lift(
    plates: Sequence[Sighting], lifted_at: float | None, config: JoiningConfig
) -> Sighting | None:
    if lifted_at is None:
        return plates[-1] if plates else None
    before = [each for each in plates if each.seen_at <= lifted_at + config.lift_slack_seconds]
    if before:
        return before[-1]
    return plates[0] if plates else None


def _doubted(
    chosen: Sighting, plates: Sequence[Sighting], lifted_at: float | None, config: JoiningConfig
) -> Sighting:
    """Lower the confidence when another car under the same camera could be meant as well."""
    latest = float("inf") if lifted_at is None else lifted_at + config.lift_slack_seconds
    rivals = {each.value for each in plates if len(each.nozzles) > 1 and each.seen_at <= latest} - {
        chosen.value
    }
    if not rivals or len(chosen.nozzles) == 1:
        return chosen
    confidence = min(chosen.confidence or _AMBIGUOUS_CONFIDENCE, _AMBIGUOUS_CONFIDENCE)
    return replace(chosen, confidence=confidence)
