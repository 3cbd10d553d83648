"""
What a person decides about a sale, and what has to move because of it.

A ruling replaces the one before it as a whole. What moves is told as litres and money: the
points follow from the rules of the sale's day. Every movement has an id derived from sale
and ruling, so a ruling applied again moves nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from forecourt.rounding import apportion
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHARERS_MAX = 4
SEPARATOR = "~"  # between a sale's id and the number of a ruling; in no sale's id


class Verdict(StrEnum):
    """The one-call decisions."""

    ASSIGN = "assign"
    SPLIT = "split"
    NONE = "none"
    ASK = "ask"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A member's part of a sale."""

    member_id: str
    volume_ml: int
    amount_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """
    The `number`-th decision about a sale, from 1 on; `actor` and `reason` are for the audit.

    Whoever is asked (`ASK`) has no share before they answer.
    """

    sale_id: str
    number: int
    verdict: Verdict
    shares: tuple[Share, ...]
    asked: str | None = None
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A share as somebody has it: by which entry of the ledger it was given."""

    share: Share
    entry_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """A share given to a member, or, when it `reverses` an entry, taken back as it was given."""

    movement_id: str
    share: Share
    reverses: str | None = None


def assign(
    sale_id: str, member_id: str, *, volume_ml: int, amount_fen: int, number: int, actor: str,
    reason: str,
) -> Ruling:  # fmt: skip
    """Return the ruling that a sale is wholly *member_id*'s."""
    share = Share(member_id=member_id, volume_ml=volume_ml, amount_fen=amount_fen)
    return Ruling(
        sale_id=sale_id,
        number=number,
        verdict=Verdict.ASSIGN,
        shares=(share,),
        actor=actor,
        reason=reason,
    )


def split(
    sale_id: str, parts: Mapping[str, int], *, volume_ml: int, amount_fen: int, number: int,
    actor: str, reason: str,
) -> Ruling:  # fmt: skip
    """
    Return the ruling that members share a sale in the proportion of *parts*.

    Millilitres and fen that do not divide go to the largest remainders, by member id among
    equals: the shares always add up to the sale.
    """
    if not 1 < len(parts) <= SHARERS_MAX or min(parts.values()) <= 0:
        raise ValueError(dict(parts))
    volumes, amounts = _divided(volume_ml, parts), _divided(amount_fen, parts)
    return Ruling(
        sale_id=sale_id,
        number=number,
        verdict=Verdict.SPLIT,
        shares=tuple(
            Share(member_id=each, volume_ml=volumes[each], amount_fen=amounts[each])
            for each in sorted(parts)
        ),
        actor=actor,
        reason=reason,
    )


def decline(
    sale_id: str,
    verdict: Verdict,
    *,
    asked: str | None = None,
    number: int,
    actor: str,
    reason: str,
) -> Ruling:
    """Return the ruling that a sale is nobody's, or nobody's before who is *asked* has answered."""
    if (verdict is Verdict.ASK) != (asked is not None) or verdict in {
        Verdict.ASSIGN,
        Verdict.SPLIT,
    }:
        raise ValueError((verdict, asked))
    return Ruling(
        sale_id=sale_id,
        number=number,
        verdict=verdict,
        shares=(),
        asked=asked,
        actor=actor,
        reason=reason,
    )


def movements(held: Sequence[Holding], ruling: Ruling) -> tuple[Movement, ...]:
    """
    Return what moves when *ruling* replaces what is *held*: what is taken back first.

    A member whose share stays the same keeps it: nothing is taken and given again.
    """
    had, has = {each.share for each in held}, set(ruling.shares)
    taken = [each for each in held if each.share not in has]
    given = [each for each in ruling.shares if each not in had]
    return (
        *(
            Movement(
                movement_id=f"{_prefix(ruling)}-{each.share.member_id}",
                share=each.share,
                reverses=each.entry_id,
            )
            for each in sorted(taken, key=lambda each: each.share.member_id)
        ),
        *(
            Movement(movement_id=f"{_prefix(ruling)}+{each.member_id}", share=each)
            for each in sorted(given, key=lambda share: share.member_id)
        ),
    )


def holdings(held: Sequence[Holding], ruling: Ruling) -> tuple[Holding, ...]:
    """Return who has what of the sale once *ruling* has replaced what is *held*."""
    kept = {each.share: each for each in held}
    return tuple(
        kept.get(each) or Holding(share=each, entry_id=f"{_prefix(ruling)}+{each.member_id}")
        for each in ruling.shares
    )


def sale_of_entry(entry_id: str) -> str:
    """Return the sale by which an entry was earned; its id is the sale's or a movement's."""
    return entry_id.partition(SEPARATOR)[0]


def carried_over(points: int, *, taken: int, given: int) -> int:
    """
    Return what of *points* a share is worth whose *given* points were *taken* back before.

    What a refund had taken is not there to be handed on: of 100 points 40 of which were
    refunded, the next member gets 60. Rounding down favours nobody over the refund.
    """
    return points * taken // given if given else points


def _prefix(ruling: Ruling) -> str:
    return f"{ruling.sale_id}{SEPARATOR}{ruling.number}"


def _divided(whole: int, parts: Mapping[str, int]) -> dict[str, int]:
    members = sorted(parts)
    return dict(zip(members, apportion(whole, [parts[each] for each in members]), strict=True))
