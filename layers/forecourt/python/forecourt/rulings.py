"""
What a person decides about a sale, and what has to move because of it.

A ruling replaces the one before it as a whole. What moves is told as litres and money: the
points follow from the rules of the sale's day. Every movement has an id derived from sale
and ruling, so a ruling applied again moves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SHARERS_MAX = 4


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
class Movement:
    """A share given to a member, or, with `reverses`, taken back as it was given."""

    movement_id: str
    share: Share
    reverses: bool


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


def movements(before: Ruling | None, after: Ruling) -> tuple[Movement, ...]:
    """
    Return what moves when *after* replaces *before*: what is taken back first.

    A member whose share stays the same keeps it: nothing is taken and given again.
    """
    if before is not None and (before.sale_id, before.number + 1) != (after.sale_id, after.number):
        raise ValueError((before.number, after.number))
    had = set(before.shares) if before else set()
    has = set(after.shares)
    return tuple(
        Movement(
            movement_id=f"{after.sale_id}~{after.number}{'-' if reverses else '+'}{each.member_id}",
            share=each,
            reverses=reverses,
        )
        for reverses, moved in ((True, had - has), (False, has - had))
        for each in sorted(moved, key=lambda share: share.member_id)
    )


def _divided(whole: int, parts: Mapping[str, int]) -> dict[str, int]:
    total = sum(parts.values())
    shares = {each: whole * part // total for each, part in parts.items()}
    left = whole - sum(shares.values())
    remainders = sorted(parts, key=lambda each: (-(whole * parts[each] % total), each))
    for each in remainders[:left]:
        shares[each] += 1
    return shares
