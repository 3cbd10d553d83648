"""
Whose sale is it: how what was observed agrees with one candidate, field by field.

What agrees is weighed (`compare`). What would say the same a second time is not; against a
member's word it is heard all the same (`heard_against_a_claim`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from forecourt.decisions import UNSEEN
from forecourt.presence import PRESENCE
from forecourt.values import dataclass
from forecourt.weighing import base_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from forecourt.behaviour import Behaviour
    from forecourt.fills import Fill
    from forecourt.hashes import Observation
    from forecourt.presence import Presences
    from forecourt.weighing import Weights

PHONE, PLATE, PAYMENT, CARD, ETC_TAG = "phone", "plate", "payment", "card", "etc_tag"
KINDS = (PHONE, PLATE, PAYMENT, CARD, ETC_TAG)
TOLERANT_KINDS = (PHONE, PLATE)  # in this order: phones come closest to the whole batch
HABITS = ("station", "hour", "grade", "litres", "rhythm")
MEANS = "means"  # of payment, with which the member was seen to pay or was not
HISTORY = "history"  # of sales that were the member's
FLEET = "fleet"  # a crowd has the claimant's card, or one that was shown: such cars are swapped


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """What is known of a member: digests bound to them, by kind, and their habits."""

    identities: Mapping[str, frozenset[str]]
    behaviour: Behaviour | None = None


Tolerance: TypeAlias = "Callable[[Observation], Iterable[str]]"
"""Digests of what an observation may have been before one slip, likeliest first."""

_BETTER = {"differs": 0, "close": 1, "same": 2}


def compare(
    observations: Sequence[Observation],
    fill: Fill,
    *,
    weights: Weights | None,
    block_members: int,
    owned: Mapping[Observation, str],
    portrait: Portrait | None,
    presences: Presences | None,
    tolerate: Tolerance,
) -> dict[str, str]:
    """
    Return at which level each field agrees for one candidate.

    *owned* says what look-ups found: which observations are the candidate's own, `same` or
    `close`. The rest is compared with the portrait; of what the candidate never bound,
    nothing is known and nothing said. What was not observed at all is a level of its own,
    `none`: guests who are no members seldom type a phone and show no card. The
    circumstances are how densely the phone's block is populated and whether the camera
    doubts its reading. Habits count only for who is not known by the car: whoever shares
    the car shares the pump, the hours and the grade. An app is in one driver's pocket:
    *presences*, once asked for, count for everybody.
    """
    levels: dict[str, str] = {}
    for each in observations:
        level = owned.get(each) or _against(portrait, each, tolerate)
        if level and _BETTER[level] >= _BETTER.get(base_of(levels.get(each.kind, "")), 0):
            circumstance = (
                str(density_class(block_members))
                if each.kind == PHONE and level != "differs"
                else "unsure"
                if each.unsure and level == "differs"
                else ""
            )
            levels[each.kind] = f"{level}.{circumstance}" if circumstance else level
    seen = {each.kind for each in observations}
    levels |= dict.fromkeys((kind for kind in KINDS if kind not in seen), UNSEEN)
    if portrait and portrait.behaviour and not by_car(levels):
        levels |= portrait.behaviour.levels(fill)
    if presences is not None:
        levels[PRESENCE] = presences.level(fill)
    return weights.known(levels) if weights else levels


def density_class(block_members: int) -> int:
    """Return the class, 0 to 4, of a block of ten thousand numbers with that many members."""
    return min(4, max(0, (block_members.bit_length() - 3) // 2))


def heard_against_a_claim(
    levels: Mapping[str, str], fill: Fill, *, portrait: Portrait | None, in_a_fleet: bool
) -> dict[str, str]:
    """
    Return what is not weighed for a candidate, but heard against their word.

    Habits that a household shares say nothing for one of them. But a car that was filled where,
    when and as its member never does may be another car, or in other hands. And a number that
    was typed may have been a slip: if it is that of somebody who has no sale yet, perhaps
    because they joined since, nothing else says that they were ever there.
    """
    behaviour = portrait.behaviour if portrait else None
    if not by_car(levels):
        unheard_of = base_of(levels.get(PHONE, "")) == "same" and not (
            behaviour and behaviour.sales
        )
        return {HISTORY: "none"} if unheard_of else {}
    heard = {FLEET: "same"} if in_a_fleet else {}
    if behaviour:
        heard |= behaviour.levels(fill)
        if behaviour.means_level(fill.paid_with) == "new":
            heard[MEANS] = "new"
    return heard


def by_car(levels: Mapping[str, str]) -> bool:
    """Return whether a candidate is known by the car."""
    return base_of(levels.get(PLATE, "")) in {"same", "close"}


def _against(portrait: Portrait | None, seen: Observation, tolerate: Tolerance) -> str | None:
    bound = portrait.identities.get(seen.kind) if portrait else None
    if not bound:
        return None
    if not bound.isdisjoint(seen.digests):
        return "same"
    if seen.kind in TOLERANT_KINDS and not bound.isdisjoint(tolerate(seen)):
        return "close"
    return "differs"
