"""
Judged sales as weights are learnt from them: how candidates agreed, and what people have said.

The candidates are looked up anew and compared with what is known of them today. Of habits that
would be hindsight: a credited sale is among its member's habits by now, and would agree with
them. So the habits of whom the sale was given to are those the decision wrote down, and of
nobody's rhythm anything is taken from today. Where a decision needed no habits none are known;
that depended on what else agreed and not on the habits, so what is counted of them stays right.
Check-ins are still known of sales no older than `learning_files` looks at.

Nobody is named: candidates are numbers, and all that leads to a person is the sale's id.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

from forecourt.inquiry import HABITS
from forecourt.rulings import Verdict
from forecourt.stored_sales import Status
from forecourt.values import dataclass
from forecourt.weighing import Candidate, base_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from forecourt.stored_sales import StoredSale

NOBODY = -1
DECIDED = frozenset({Status.MATCHED, Status.PENDING, Status.UNMATCHED, Status.NOBODYS})
RHYTHM = "rhythm"
HELD_BACK_IN = 5  # one sale in so many is never learnt from


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedSale:
    """
    A sale, how each candidate agreed with it, and who made it as far as people have said so.

    `maker` is the place of a candidate, `NOBODY` when none of them made it, `None` when nobody
    has said; those at the places `denied` have said that it is not theirs. `block_members` is
    how many members there are among the ten thousand numbers around the typed phone.
    """

    sale_id: str
    observed: frozenset[str]
    levels: tuple[Mapping[str, str], ...]
    maker: int | None
    denied: frozenset[int] = frozenset()
    block_members: int | None = None

    @property
    def candidates(self) -> list[Candidate]:
        """Return the candidates, named by their places."""
        return [
            Candidate(member_id=str(place), levels=each) for place, each in enumerate(self.levels)
        ]

    @property
    def member_id(self) -> str | None:
        """Return who made it by the name in `candidates`, `""` for nobody."""
        if self.maker is None:
            return None
        return "" if self.maker == NOBODY else str(self.maker)


def teaches(stored: StoredSale) -> bool:
    """Return whether a sale was weighed and had one maker, of whom something was seen."""
    shared = stored.ruled is not None and stored.ruled.ruling.verdict is Verdict.SPLIT
    return (
        stored.status in DECIDED
        and bool(stored.evidence)
        and not shared
        and not stored.sale.test_delivery
    )


def sampled(sales: Iterable[StoredSale], *, most: int) -> list[StoredSale]:
    """Return *most* of the *sales* that teach, always the same ones, in order of their ids."""
    teaching = filter(teaches, sales)
    drawn = sorted(teaching, key=lambda each: _lot(each.sale.sale_id))[:most]
    return sorted(drawn, key=lambda each: each.sale.sale_id)


def is_held_back(sale_id: str) -> bool:
    """Return whether a sale is kept for trying weights; it is so in every run."""
    return int(_lot(sale_id), 16) % HELD_BACK_IN == 0


def judged_sale(
    stored: StoredSale, candidates: Sequence[Candidate], *, block_members: int | None
) -> JudgedSale:
    """Return *stored* as a sale to learn from; *candidates* agree as they do today."""
    ordered = sorted(candidates, key=lambda each: each.member_id)
    places = {each.member_id: place for place, each in enumerate(ordered)}
    return JudgedSale(
        sale_id=stored.sale.sale_id,
        observed=frozenset(each.kind for each in stored.observations),
        levels=tuple(_without_hindsight(each, stored) for each in ordered),
        maker=_maker(stored, places),
        denied=frozenset(places[each] for each in stored.denied_by if each in places),
        block_members=block_members,
    )


def judged_to_line(judged: JudgedSale) -> bytes:
    """Return a line that says it all."""
    values = [
        judged.sale_id,
        sorted(judged.observed),
        [dict(sorted(each.items())) for each in judged.levels],
        judged.maker,
        sorted(judged.denied),
        judged.block_members,
    ]
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def judged_from_line(line: bytes) -> JudgedSale:
    """Return what `judged_to_line` wrote."""
    sale_id, observed, levels, maker, denied, block_members = json.loads(line)
    return JudgedSale(
        sale_id=sale_id,
        observed=frozenset(observed),
        levels=tuple(levels),
        maker=maker,
        denied=frozenset(denied),
        block_members=block_members,
    )


def _without_hindsight(candidate: Candidate, stored: StoredSale) -> dict[str, str]:
    levels = dict(candidate.levels)
    habits = {name: levels.pop(name) for name in HABITS if name in levels}
    if base_of(levels.get("plate", "")) in {"same", "close"}:
        return levels  # whoever is known by the car has no habits of their own
    decision = stored.decision
    if decision is not None and decision.member_id == candidate.member_id:
        return levels | {each.field: each.level for each in decision.pieces if each.field in HABITS}
    if candidate.member_id in {each.share.member_id for each in stored.held}:
        return levels
    habits.pop(RHYTHM, None)
    return levels | habits


def _maker(stored: StoredSale, places: Mapping[str, int]) -> int | None:
    ruling = stored.ruled.ruling if stored.ruled is not None else None
    if ruling is not None and ruling.verdict is Verdict.NONE:
        return NOBODY
    if ruling is not None and ruling.verdict is Verdict.ASSIGN:
        (share,) = ruling.shares
        return places.get(share.member_id, NOBODY)
    # A claim that was not believed says nothing: it costs nothing to make one.
    if stored.member_id is not None and stored.claimed_by == {stored.member_id}:
        return places.get(stored.member_id, NOBODY)
    return None


def _lot(sale_id: str) -> str:
    return sha256(sale_id.encode()).hexdigest()
