"""
Sales and the members whom look-ups found for them, as weights are learnt from them.

Most sales look like many others: what is alike is counted once, and learning goes over kinds of
sales instead of sales.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from forecourt.weighing import Candidate

UNKNOWN, STRANGER, MATCH = -1, 0, 1
ABSENT = -1


class Alike(NamedTuple):
    """
    Sales that look alike, and how many there are.

    `rows` are their candidates, by place in `Pairs.rows`; `labels` say of each whether it is
    a `MATCH`, a `STRANGER` or `UNKNOWN`; `observed` are the fields observed, by place.
    """

    rows: tuple[int, ...]
    labels: tuple[int, ...]
    observed: frozenset[int]
    sales: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """
    Candidates of some sales.

    A row is what one candidate agrees in: of each field a place in `names`, or -1 where the
    field says nothing.
    """

    fields: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[int, ...], ...]
    alike: tuple[Alike, ...]
    sales: int


def pairs_from_candidates(
    candidates: Sequence[Sequence[Candidate]],
    labels: Sequence[str | None],
    *,
    observed: Sequence[Collection[str]],
    denied: Sequence[Collection[str]] | None = None,
) -> Pairs:
    """
    Return the pairs of some sales.

    *observed* has for each sale what was observed of it, whether or not that found anybody.
    *labels* has for each the member confirmed to have made it, `""` when nobody among
    the candidates did, and `None` where that is not known; *denied* who certainly did not.
    """
    fields = tuple(sorted({name for each in candidates for one in each for name in one.levels}))
    levels = [
        sorted({one.levels[name] for each in candidates for one in each if name in one.levels})
        for name in fields
    ]
    places = [{level: place for place, level in enumerate(each)} for each in levels]
    rows: dict[tuple[int, ...], int] = {}
    alike: Counter[tuple[tuple[int, ...], tuple[int, ...], frozenset[int]]] = Counter()
    for number, (found, truth, seen) in enumerate(zip(candidates, labels, observed, strict=True)):
        strangers = denied[number] if denied else ()
        sale = []
        for one in found:
            row = tuple(
                known[one.levels[name]] if name in one.levels else ABSENT
                for name, known in zip(fields, places, strict=True)
            )
            sale.append((rows.setdefault(row, len(rows)), _label(one.member_id, truth, strangers)))
        sale.sort()
        alike[
            tuple(row for row, _ in sale),
            tuple(label for _, label in sale),
            frozenset(place for place, name in enumerate(fields) if name in seen),
        ] += 1
    return Pairs(
        fields=fields,
        names=tuple(map(tuple, levels)),
        rows=tuple(rows),
        alike=tuple(Alike(*each, count) for each, count in alike.items()),
        sales=len(candidates),
    )


def _label(member_id: str, truth: str | None, strangers: Collection[str]) -> int:
    if truth is None:
        return STRANGER if member_id in strangers else UNKNOWN
    return MATCH if truth == member_id else STRANGER
