"""
Weights learnt from sales: m and u by expectation maximisation.

A *pair* is a sale and a member whom the look-ups found for it. A few pairs are confirmed
(the member said so, or an attendant); of the rest only the levels are known. Each round
gives every pair its posterior under the present weights and counts the levels again, the
pairs as matches by their posterior and as strangers by what is left.

What `u` means depends on how a level comes about (`Scope`). A phone that is the same is
found whenever it exists, so it is counted against all members; a habit is compared for
candidates only, so it is counted among them, where the neighbour with the similar number
lives in the same town.

Uses numpy: this is for the job that proposes weights. Decisions need none of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from forecourt.weighing import CENTIBITS_A_BIT, MAX_CENTIBITS, Candidate, Weights, base_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

ROUNDS_MAX = 60
SETTLED_BITS = 0.005
UNKNOWN, STRANGER, MATCH = -1, 0, 1
_ABSENT = -1


class Scope(StrEnum):
    """Against whom a field's levels are counted."""

    KEYED = "keyed"
    """`same` and `close` are found among all members whenever they exist."""
    CANDIDATES = "candidates"
    """Compared for candidates only, and counted among them."""
    RANDOM = "random"
    """Counted once, among pairs drawn at random."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """
    Candidates of some sales, one row each, in columns by field.

    `levels[f][row]` is a place in `names[f]`, or -1 where the field says nothing. `sale`
    numbers the sales; `label` is `MATCH`, `STRANGER` or `UNKNOWN`. `observed[f]` is 1
    for each of all `sales`, with candidates or without, in which the field was observed.
    """

    fields: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    levels: tuple[Ints, ...]
    sale: Ints
    label: Ints
    sales: int
    observed: Mapping[str, Ints]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What was learnt: m and u by field and level, the share of sales with a known member."""

    m: Mapping[str, Mapping[str, float]]
    u: Mapping[str, Mapping[str, float]]
    matched_share: float
    members: int
    rounds: int
    posteriors: Floats = field(repr=False)

    def weights(self, version: int) -> Weights:
        """
        Return the weights, in centibits rounded to the nearest.

        A slip is never better evidence than the thing itself: where few slips were seen, what
        was counted for them is capped by what the same value is worth.
        """
        share = self.matched_share
        return Weights(
            version=version,
            members=self.members,
            prior=_centibits(share / ((1 - share) * self.members)),
            levels={
                name: _capped(
                    {
                        level: _centibits(of_matches / self.u[name][level])
                        for level, of_matches in levels.items()
                    }
                )
                for name, levels in self.m.items()
            },
        )


def pairs_from_candidates(
    candidates: Sequence[Sequence[Candidate]],
    labels: Sequence[str | None],
    *,
    observed: Sequence[Collection[str]],
) -> Pairs:
    """
    Return the pairs of some sales.

    *observed* has for each sale what was observed of it, whether or not that found anybody.
    *labels* has for each the member confirmed to have made it, `""` when nobody among
    the candidates did, and `None` where that is not known.
    """
    fields = tuple(sorted({name for each in candidates for one in each for name in one.levels}))
    places: dict[str, dict[str, int]] = {name: {} for name in fields}
    columns: dict[str, list[int]] = {name: [] for name in fields}
    sale: list[int] = []
    label: list[int] = []
    for number, (found, truth) in enumerate(zip(candidates, labels, strict=True)):
        for one in found:
            sale.append(number)
            label.append(UNKNOWN if truth is None else int(truth == one.member_id))
            for name in fields:
                level = one.levels.get(name)
                known = places[name]
                columns[name].append(
                    _ABSENT if level is None else known.setdefault(level, len(known))
                )
    return Pairs(
        fields=fields,
        names=tuple(tuple(places[name]) for name in fields),
        levels=tuple(np.array(columns[name], dtype=np.int64) for name in fields),
        sale=np.array(sale, dtype=np.int64),
        label=np.array(label, dtype=np.int64),
        sales=len(candidates),
        observed={
            name: np.array([name in each for each in observed], dtype=np.int64) for name in fields
        },
    )


def estimate(
    pairs: Pairs,
    *,
    members: int,
    scopes: Mapping[str, Scope],
    random_pairs: Pairs | None = None,
    floors: Mapping[str, Mapping[str, float]] | None = None,
    first_guess: Mapping[str, float] | None = None,
) -> Estimate:
    """
    Return m and u of every field and level, by expectation maximisation.

    *floors* are what u must not fall below whatever was counted, such as what the density of
    numbers says (`phone_floors`): a rare accident may be missing from the sales at hand.
    *first_guess* gives, by base level, how likely a match shows it at the start; the
    default believes that `same` is more usual among matches than anything else.
    """
    counting = _Counting(pairs, members, scopes, random_pairs, floors or {})
    m = counting.first_m(first_guess or {"same": 0.9, "usual": 0.8, "close": 0.05})
    share = 0.5
    posteriors: Floats = np.where(pairs.label == MATCH, 1.0, 0.0)
    unknown = pairs.label == UNKNOWN
    u = counting.u(np.where(unknown, 0.5, posteriors))
    before: Floats = np.zeros(0)
    rounds = 0
    while rounds < ROUNDS_MAX:
        rounds += 1
        odds = counting.odds(m, u, share)
        whole = 1.0 + np.bincount(pairs.sale, weights=odds, minlength=pairs.sales)
        posteriors = np.where(unknown, odds / whole[pairs.sale], posteriors)
        m, u = counting.m(posteriors), counting.u(posteriors)
        share = min(max(float(posteriors.sum()) / pairs.sales, 1e-6), 1 - 1e-6)
        now = np.concatenate([np.log2(a / b) for a, b in zip(m, u, strict=True)])
        if before.size and float(np.abs(now - before).max()) < SETTLED_BITS:
            break
        before = now
    return Estimate(
        m=counting.named(m),
        u=counting.named(u),
        matched_share=share,
        members=members,
        rounds=rounds,
        posteriors=posteriors,
    )


class _Counting:
    """How levels are counted, given how likely each pair is a match."""

    def __init__(
        self,
        pairs: Pairs,
        members: int,
        scopes: Mapping[str, Scope],
        random_pairs: Pairs | None,
        floors: Mapping[str, Mapping[str, float]],
    ) -> None:
        self._pairs = pairs
        self._members = members
        self._scopes = scopes
        self._random = _aligned(pairs, random_pairs) if random_pairs else None
        self._floors = floors
        self._classes = [
            _classes(names, by_circumstance=scopes.get(name) is not Scope.KEYED)
            for name, names in zip(pairs.fields, pairs.names, strict=True)
        ]

    def first_m(self, guess: Mapping[str, float]) -> list[Floats]:
        """Return a start that breaks the symmetry between matches and strangers."""
        return [
            np.array([guess.get(base_of(level), 0.05) for level in names])
            for names in self._pairs.names
        ]

    def odds(self, m: Sequence[Floats], u: Sequence[Floats], share: float) -> Floats:
        """Return each pair's odds against "none of the candidates"."""
        total: Floats = np.full(len(self._pairs.sale), np.log(share / (1 - share) / self._members))
        for column, of_matches, of_others in zip(self._pairs.levels, m, u, strict=True):
            worth = np.append(np.log(of_matches / of_others), 0.0)  # -1, absent, takes the last
            total += worth[column]
        return np.exp(np.clip(total, -80.0, 80.0))

    def m(self, posteriors: Floats) -> list[Floats]:
        """Return how often a match shows each level."""
        counted = []
        for place, column in enumerate(self._pairs.levels):
            levels = _counts(column, posteriors, len(self._pairs.names[place])) + 0.5
            counted.append(self._within_class(place, levels))
        return counted

    def u(self, posteriors: Floats) -> list[Floats]:
        """Return how often somebody else shows each level, by the field's scope."""
        others = 1.0 - posteriors
        nobody = np.clip(
            1.0 - np.bincount(self._pairs.sale, posteriors, self._pairs.sales), 0.0, 1.0
        )
        counted = []
        for place, name in enumerate(self._pairs.fields):
            names = self._pairs.names[place]
            scope = self._scopes.get(name, Scope.CANDIDATES)
            if scope is Scope.RANDOM and self._random is not None:
                column = self._random[place]
                levels = _counts(column, np.ones(len(column)), len(names)) + 0.5
                counted.append(levels / levels.sum())
                continue
            column = self._pairs.levels[place]
            if scope is Scope.KEYED:
                levels = _counts(column, nobody[self._pairs.sale], len(names))
                counted.append(self._against_all(place, levels, nobody))
            else:
                levels = _counts(column, others, len(names)) + 0.5
                counted.append(self._within_class(place, levels))
        return counted

    def named(self, values: Sequence[Floats]) -> dict[str, dict[str, float]]:
        """Return counted values under the names of field and level."""
        return {
            name: dict(zip(names, map(float, column), strict=True))
            for name, names, column in zip(
                self._pairs.fields, self._pairs.names, values, strict=True
            )
        }

    def _within_class(self, place: int, levels: Floats) -> Floats:
        """
        Return shares, for a habit among the levels of one circumstance.

        Of keyed fields all levels are one whole: that more matches than strangers come from
        densely populated blocks of numbers is evidence too.
        """
        shares = levels.copy()
        for rows in self._classes[place]:
            shares[rows] /= levels[rows].sum()
        return shares

    def _against_all(self, place: int, levels: Floats, nobody: Floats) -> Floats:
        """
        Return how often a sale that is nobody's among the candidates hits a given member.

        Counted in such sales only: numbers reissued and cars lent are met where the maker is no
        member, and would seem rarer among all sales. One more hit than was seen is allowed
        for (Laplace's rule of succession).
        """
        name, names = self._pairs.fields[place], self._pairs.names[place]
        # Where saying nothing is a level, every sale was asked.
        observed = 1 if "none" in names else self._pairs.observed[name]
        asked = float((nobody * observed).sum()) + 2.0
        floors = self._floors.get(name, {})
        found = np.array([base_of(level) in {"same", "close"} for level in names])
        u = np.maximum(
            (levels + 1.0) / (asked * self._members), [floors.get(level, 0.0) for level in names]
        )
        rest = max(1e-9, 1.0 - float(u[found].sum()))
        u[~found] = rest * (levels[~found] + 0.5) / float((levels[~found] + 0.5).sum() or 1.0)
        return u


def phone_floors(
    sales_by_class: Mapping[int, int],
    density_by_class: Mapping[int, float],
    *,
    mean_density: float,
    slip_share: float,
    members: int,
) -> dict[str, float]:
    """
    Return u of a phone that is the same or close, from how many numbers are members'.

    A density is the share of a block's numbers that are members'. Of the 99 numbers one slip
    away 39 lie in the same block, 60 elsewhere. *slip_share* of the phones are mistyped, and
    only these name somebody else by accident.
    """
    sales = max(1, sum(sales_by_class.values()))
    floors = {}
    for each, density in density_by_class.items():
        share = sales_by_class.get(each, 0) / sales
        floors[f"same.{each}"] = share * slip_share * density / members
        floors[f"close.{each}"] = share * (39 * density + 60 * mean_density) / members
    return floors


def _counts(column: Ints, weights: Floats, levels: int) -> Floats:
    known = column >= 0
    return np.bincount(column[known], weights=weights[known], minlength=levels).astype(np.float64)


def _classes(names: Sequence[str], *, by_circumstance: bool) -> list[Ints]:
    circumstance = [level.partition(".")[2] if by_circumstance else "" for level in names]
    return [
        np.array([place for place, each in enumerate(circumstance) if each == one], dtype=np.int64)
        for one in dict.fromkeys(circumstance)
    ]


def _aligned(pairs: Pairs, others: Pairs) -> list[Ints]:
    """Return the columns of *others* in the numbering of *pairs*; unheard-of levels are absent."""
    columns = []
    for name, names in zip(pairs.fields, pairs.names, strict=True):
        place = others.fields.index(name)
        table = np.array(
            [names.index(level) if level in names else _ABSENT for level in others.names[place]]
            + [_ABSENT],
            dtype=np.int64,
        )
        columns.append(table[others.levels[place]])
    return columns


def _capped(worth: dict[str, int]) -> dict[str, int]:
    capped = dict(worth)
    for level, centibits in worth.items():
        base, dot, circumstance = level.partition(".")
        if base == "close":
            most = worth.get(f"same{dot}{circumstance}", centibits)
            capped[level] = min(centibits, most)
    return capped


def _centibits(odds: float) -> int:
    bits = float(np.log2(odds)) * CENTIBITS_A_BIT
    return int(max(-MAX_CENTIBITS, min(MAX_CENTIBITS, round(bits))))
