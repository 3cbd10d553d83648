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

No package is needed for that: of sixty thousand sales most are alike (`forecourt.pairs`), and a
round takes a fraction of a second.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from math import exp, log, log2
from typing import TYPE_CHECKING, NamedTuple

from forecourt.pairs import ABSENT, UNKNOWN
from forecourt.values import dataclass
from forecourt.weighing import CENTIBITS_A_BIT, MAX_CENTIBITS, Weights, base_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from forecourt.pairs import Pairs

ROUNDS_MAX = 60
SETTLED_BITS = 0.005
BELIEVED_SALES = 2_000.0  # that are nobody's: what a week brings a middling chain
_MAX_LOG_ODDS = 80.0  # a double holds e to that power, and no decision is surer
_FIRST_GUESS = {"same": 0.9, "usual": 0.8, "close": 0.05}
_SELDOM = 0.05


class Scope(StrEnum):
    """Against whom a field's levels are counted."""

    KEYED = "keyed"
    """`same` and `close` are found among all members whenever they exist."""
    CANDIDATES = "candidates"
    """Compared for candidates only, and counted among them."""
    RANDOM = "random"
    """Counted once, among pairs drawn at random."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """
    What was learnt: m and u by field and level, the share of sales with a known member.

    `matches` and `strangers` are how many pairs that rests on, by field.
    """

    m: Mapping[str, Mapping[str, float]]
    u: Mapping[str, Mapping[str, float]]
    matches: Mapping[str, float]
    strangers: Mapping[str, float]
    matched_share: float
    members: int
    rounds: int

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


def estimate(
    pairs: Pairs,
    *,
    members: int,
    scopes: Mapping[str, Scope],
    random_pairs: Pairs | None = None,
    floors: Mapping[str, Mapping[str, float]] | None = None,
    believed: Weights | None = None,
    first_guess: Mapping[str, float] | None = None,
) -> Estimate:
    """
    Return m and u of every field and level, by expectation maximisation.

    *floors* are what u must not fall below whatever was counted, such as what the density of
    numbers says (`phone_floors`): a rare accident may be missing from the sales at hand.
    *believed* are weights, for as many members, that say how rare it is. They count as much as
    `BELIEVED_SALES` would; the fewer sales there are, the more is left as it was.
    *first_guess* gives, by base level, how likely a match shows it at the start; the
    default believes that `same` is more usual among matches than anything else.
    """
    counting = _Counting(
        pairs,
        members=members,
        scopes=scopes,
        random_pairs=random_pairs,
        floors=floors or {},
        believed=believed,
    )
    m = counting.first_m(first_guess or _FIRST_GUESS)
    share = 0.5
    tally = counting.first_tally()
    u = counting.u(tally, m)
    before: list[float] = []
    rounds = 0
    while rounds < ROUNDS_MAX:
        rounds += 1
        tally = counting.tally(m, u, share)
        m = counting.m(tally)
        u = counting.u(tally, m)
        share = min(max(sum(tally.matches) / pairs.sales, 1e-6), 1 - 1e-6)
        now = [
            log2(a / b)
            for of_m, of_u in zip(m, u, strict=True)
            for a, b in zip(of_m, of_u, strict=True)
        ]
        if before and max(abs(a - b) for a, b in zip(now, before, strict=True)) < SETTLED_BITS:
            break
        before = now
    return Estimate(
        m=counting.named(m),
        u=counting.named(u),
        matches=counting.known(tally.matches),
        strangers=counting.known(tally.strangers),
        matched_share=share,
        members=members,
        rounds=rounds,
    )


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


class _Tally(NamedTuple):
    """
    How often each row was a match, a stranger, and met in a sale that is nobody's.

    `asked` are sales that are nobody's in which a field was observed, by place; `nobodys` all.
    """

    matches: list[float]
    strangers: list[float]
    in_nobodys: list[float]
    asked: list[float]
    nobodys: float


class _Counting:
    """How levels are counted, given how likely each pair is a match."""

    def __init__(
        self,
        pairs: Pairs,
        *,
        members: int,
        scopes: Mapping[str, Scope],
        random_pairs: Pairs | None,
        floors: Mapping[str, Mapping[str, float]],
        believed: Weights | None,
    ) -> None:
        self._pairs = pairs
        self._members = members
        self._believed = believed.levels if believed else {}
        self._scopes = scopes
        self._random = _aligned(pairs, random_pairs) if random_pairs else None
        self._floors = floors
        self._classes = [
            _classes(names, by_circumstance=scopes.get(name) is not Scope.KEYED)
            for name, names in zip(pairs.fields, pairs.names, strict=True)
        ]

    def first_m(self, guess: Mapping[str, float]) -> list[list[float]]:
        """Return a start that breaks the symmetry between matches and strangers."""
        return [
            [guess.get(base_of(level), _SELDOM) for level in names] for names in self._pairs.names
        ]

    def first_tally(self) -> _Tally:
        """Return what is counted while every pair that is not confirmed is as likely as not."""
        return self._count([0.0] * len(self._pairs.rows), alone=True)

    def tally(
        self, m: Sequence[Sequence[float]], u: Sequence[Sequence[float]], share: float
    ) -> _Tally:
        """Return what is counted when each pair is as likely a match as *m* and *u* say."""
        worth = [
            # The last one is for -1, a field that says nothing.
            [*(log(a / b) for a, b in zip(of_m, of_u, strict=True)), 0.0]
            for of_m, of_u in zip(m, u, strict=True)
        ]
        prior = log(share / (1 - share) / self._members)
        odds = []
        for row in self._pairs.rows:
            total = prior
            for of_field, level in zip(worth, row, strict=True):
                total += of_field[level]
            odds.append(exp(max(-_MAX_LOG_ODDS, min(_MAX_LOG_ODDS, total))))
        return self._count(odds)

    def m(self, tally: _Tally) -> list[list[float]]:
        """Return how often a match shows each level."""
        return [
            self._within_class(place, self._levels(place, tally.matches))
            for place in range(len(self._pairs.fields))
        ]

    def u(self, tally: _Tally, m: Sequence[Sequence[float]]) -> list[list[float]]:
        """Return how often somebody else shows each level, by the field's scope."""
        counted = []
        for place, name in enumerate(self._pairs.fields):
            scope = self._scopes.get(name, Scope.CANDIDATES)
            if scope is Scope.RANDOM and self._random is not None:
                levels = [count + 0.5 for count in self._random[place]]
                counted.append([each / sum(levels) for each in levels])
            elif scope is Scope.KEYED:
                counted.append(self._against_all(place, tally, m[place]))
            else:
                levels = self._levels(place, tally.strangers)
                counted.append(self._within_class(place, levels))
        return counted

    def named(self, values: Sequence[Sequence[float]]) -> dict[str, dict[str, float]]:
        """Return counted values under the names of field and level."""
        return {
            name: dict(zip(names, column, strict=True))
            for name, names, column in zip(
                self._pairs.fields, self._pairs.names, values, strict=True
            )
        }

    def known(self, counts: Sequence[float]) -> dict[str, float]:
        """Return how many pairs each field says something of."""
        return {
            name: sum(self._levels(place, counts)) for place, name in enumerate(self._pairs.fields)
        }

    def _count(self, odds: Sequence[float], *, alone: bool = False) -> _Tally:
        """Count rows by posterior; *alone*, unknown pairs are as likely as not, each by itself."""
        size = len(self._pairs.rows)
        matches, strangers, in_nobodys = [0.0] * size, [0.0] * size, [0.0] * size
        asked = [0.0] * len(self._pairs.fields)
        nobodys = 0.0
        for rows, labels, observed, sales in self._pairs.alike:
            whole = 1.0 + sum(
                odds[row] for row, label in zip(rows, labels, strict=True) if label == UNKNOWN
            )
            nobody = 1.0
            posteriors = []
            for row, label in zip(rows, labels, strict=True):
                posterior = (
                    float(label) if label != UNKNOWN else 0.5 if alone else odds[row] / whole
                )
                posteriors.append(posterior)
                nobody -= posterior
            nobody = max(0.0, nobody) * sales
            nobodys += nobody
            for place in observed:
                asked[place] += nobody
            for row, posterior in zip(rows, posteriors, strict=True):
                matches[row] += posterior * sales
                strangers[row] += (1.0 - posterior) * sales
                in_nobodys[row] += nobody
        return _Tally(matches, strangers, in_nobodys, asked, nobodys)

    def _levels(self, place: int, counts: Sequence[float]) -> list[float]:
        """Return how often each level of a field occurs when rows do as often as *counts* say."""
        levels = [0.0] * len(self._pairs.names[place])
        for row, count in zip(self._pairs.rows, counts, strict=True):
            level = row[place]
            if level != ABSENT:
                levels[level] += count
        return levels

    def _within_class(self, place: int, levels: Sequence[float]) -> list[float]:
        """
        Return shares, for a habit among the levels of one circumstance.

        Half a pair more than was counted is allowed for in each. Of keyed fields all levels
        are one whole: that more matches than strangers come from densely populated blocks of
        numbers is evidence too.
        """
        shares = [count + 0.5 for count in levels]
        for members in self._classes[place]:
            whole = sum(shares[each] for each in members)
            for each in members:
                shares[each] /= whole
        return shares

    def _against_all(self, place: int, tally: _Tally, m: Sequence[float]) -> list[float]:
        """
        Return how often a sale that is nobody's among the candidates hits a given member.

        Counted in such sales only: numbers reissued and cars lent are met where the maker is no
        member, and would seem rarer among all sales. Where nothing is believed beforehand, one
        more hit than was seen is allowed for (Laplace's rule of succession).
        """
        name, names = self._pairs.fields[place], self._pairs.names[place]
        counts = self._levels(place, tally.in_nobodys)
        # Where saying nothing is a level, every sale was asked.
        asked = tally.nobodys if "none" in names else tally.asked[place]
        floors, believed = self._floors.get(name, {}), self._believed.get(name, {})
        found = [base_of(level) in {"same", "close"} for level in names]
        u = []
        for level, count, of_matches in zip(names, counts, m, strict=True):
            hits, asks = 1.0, 2.0
            if level in believed:
                asks = BELIEVED_SALES
                hits = asks * self._members * of_matches / 2 ** (believed[level] / CENTIBITS_A_BIT)
            rate = (count + hits) / (asked + asks) / self._members
            u.append(max(rate, floors.get(level, 0.0)))
        rest = max(
            1e-9, 1.0 - sum(each for each, is_found in zip(u, found, strict=True) if is_found)
        )
        others = sum(
            count + 0.5 for count, is_found in zip(counts, found, strict=True) if not is_found
        )
        return [
            each if is_found else rest * (count + 0.5) / others
            for each, count, is_found in zip(u, counts, found, strict=True)
        ]


def _classes(names: Sequence[str], *, by_circumstance: bool) -> list[list[int]]:
    circumstance = [level.partition(".")[2] if by_circumstance else "" for level in names]
    return [
        [place for place, each in enumerate(circumstance) if each == one]
        for one in dict.fromkeys(circumstance)
    ]


def _aligned(pairs: Pairs, others: Pairs) -> list[list[int]]:
    """Return how often *others* show each level of *pairs*; levels unheard of are left out."""
    counted = []
    rows = list(_rows(others))
    for name, names in zip(pairs.fields, pairs.names, strict=True):
        place = others.fields.index(name)
        theirs: Counter[str] = Counter()
        for row, count in rows:
            if row[place] != ABSENT:
                theirs[others.names[place][row[place]]] += count
        counted.append([theirs[level] for level in names])
    return counted


def _rows(pairs: Pairs) -> Iterable[tuple[tuple[int, ...], int]]:
    for each in pairs.alike:
        for row in each.rows:
            yield pairs.rows[row], each.sales


def _capped(worth: dict[str, int]) -> dict[str, int]:
    capped = dict(worth)
    for level, centibits in worth.items():
        base, dot, circumstance = level.partition(".")
        if base == "close":
            most = worth.get(f"same{dot}{circumstance}", centibits)
            capped[level] = min(centibits, most)
    return capped


def _centibits(odds: float) -> int:
    bits = log2(odds) * CENTIBITS_A_BIT
    return int(max(-MAX_CENTIBITS, min(MAX_CENTIBITS, round(bits))))
