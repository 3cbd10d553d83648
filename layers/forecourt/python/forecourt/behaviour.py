"""
A member's refuelling habits, kept in one small item.

Updated sale by sale and never recomputed: old sales fade, because every count is halved when
their sum reaches `MEMORY`. The size is bounded whatever a member does.

With the habits goes what a member was seen to pay with, bound or not: a household shares its car
and its pump, but not the wallet. It is remembered by a mark, a piece of a keyed hash.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from forecourt.hashes import key_id_of
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from forecourt.fills import Fill

MEMORY = 48
STATIONS_MAX = 6
GRADES_MAX = 4
MEANS_MAX = 4  # of payment, by each of the keys
KEYS_MAX = 2  # as many as are accepted at once; marks by older ones say nothing any more
KNOWN_AFTER = 2  # sales
HOUR_BANDS = 8  # of three hours each
HOURS_A_BAND = 3
ENOUGH_SALES = 3  # below that a habit is an anecdote
EASE = 4  # a new litre figure or interval moves the mean by a quarter of the difference

DAY_SECONDS = 86_400
BURST_SECONDS = 7_200


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """
    Habits: faded counts by station, hour band and grade; mean litres and mean interval.

    `spread_ml` is the mean deviation of the litres. `interval_seconds` is zero until there
    was a second sale.
    """

    sales: int = 0
    stations: Mapping[str, int] = field(default_factory=dict)
    bands: tuple[int, ...] = (0,) * HOUR_BANDS
    grades: Mapping[str, int] = field(default_factory=dict)
    means: Mapping[str, int] = field(default_factory=dict)
    volume_ml: int = 0
    spread_ml: int = 0
    interval_seconds: int = 0
    last_at: int = 0

    def after(self, fill: Fill) -> Behaviour:
        """
        Return the habits with one more sale in them.

        A sale that comes late counts for place, hour, grade and litres, but not for the rhythm.
        """
        band = fill.hour // HOURS_A_BAND
        bands = tuple(count + (place == band) for place, count in enumerate(self.bands))
        stations = _counted(self.stations, fill.station_id, STATIONS_MAX)
        grades = _counted(self.grades, fill.grade, GRADES_MAX)
        means = self.means
        for mark in fill.paid_with:
            means = _seen(means, mark)
        if sum(bands) >= MEMORY:
            bands = tuple(count // 2 for count in bands)
            stations, grades, means = _halved(stations), _halved(grades), _halved(means)
        gap = fill.at - self.last_at
        first = self.sales == 0
        return Behaviour(
            sales=self.sales + 1,
            stations=stations,
            bands=bands,
            grades=grades,
            means=means,
            volume_ml=fill.volume_ml if first else _eased(self.volume_ml, fill.volume_ml),
            spread_ml=(
                fill.volume_ml // EASE
                if first
                else _eased(self.spread_ml, abs(fill.volume_ml - self.volume_ml))
            ),
            interval_seconds=(
                self.interval_seconds
                if first or gap <= 0
                else _eased(self.interval_seconds, gap)
                if self.interval_seconds
                else gap
            ),
            last_at=max(self.last_at, fill.at),
        )

    def without(self, fill: Fill) -> Behaviour:
        """
        Return the habits without a sale that was in them, as far as they still know it.

        Place, hour and grade have one less: a count that was halved since loses the whole of it,
        and one that made room for others nothing. The means of litres and interval forget by
        themselves, a quarter with every sale; when it was the only one, all is forgotten.
        """
        if self.sales <= 1:
            return Behaviour()
        band = fill.hour // HOURS_A_BAND
        means = self.means
        for mark in fill.paid_with:
            means = _uncounted(means, mark)
        return replace(
            self,
            sales=self.sales - 1,
            bands=tuple(max(count - (place == band), 0) for place, count in enumerate(self.bands)),
            stations=_uncounted(self.stations, fill.station_id),
            grades=_uncounted(self.grades, fill.grade),
            means=means,
        )

    def levels(self, fill: Fill) -> dict[str, str]:
        """Return how a sale agrees with the habits; nothing while there are too few sales."""
        if self.sales < ENOUGH_SALES:
            return {}
        said = {
            "station": _frequency(self.stations.get(fill.station_id, 0), sum(self.bands)),
            "hour": _frequency(self.bands[fill.hour // HOURS_A_BAND], sum(self.bands)),
            "grade": _frequency(self.grades.get(fill.grade, 0), sum(self.bands)),
            "litres": self._litres(fill.volume_ml),
        }
        rhythm = self._rhythm(fill.at)
        if rhythm:
            said["rhythm"] = rhythm
        return said

    def means_level(self, paid_with: Collection[str]) -> str | None:
        """
        Return whether something was paid as the member has paid before, `None` when that is open.

        It is no habit like the others: it tells the drivers of one car apart. What they paid with
        once may have been anybody's, and marks by a key that the sale is not hashed by say nothing.
        """
        keys = {key_id_of(mark) for mark in self.means}
        if self.sales < ENOUGH_SALES or keys.isdisjoint(map(key_id_of, paid_with)):
            return None
        times = max(self.means.get(mark, 0) for mark in paid_with)
        return "known" if times >= KNOWN_AFTER else "new" if times == 0 else None

    def _litres(self, volume_ml: int) -> str:
        off = abs(volume_ml - self.volume_ml)
        spread = max(self.spread_ml, 1_000)
        return "near" if off <= spread else "off" if off <= 3 * spread else "far"

    def _rhythm(self, at: int) -> str | None:
        gap = at - self.last_at
        if not self.interval_seconds or gap <= 0:
            return None
        if gap < BURST_SECONDS and self.interval_seconds > DAY_SECONDS:
            return "burst"
        percent = gap * 100 // self.interval_seconds
        if percent < 20:  # noqa: PLR2004
            return "much_too_early"
        return "early" if percent < 50 else "due" if percent < 200 else "late"  # noqa: PLR2004


def behaviour_to_map(behaviour: Behaviour) -> dict[str, Any]:
    """Return the habits as a map of an item: under 500 bytes, whatever the member did."""
    return {
        "sales": behaviour.sales,
        "stations": dict(behaviour.stations),
        "bands": list(behaviour.bands),
        "grades": dict(behaviour.grades),
        "means": dict(behaviour.means),
        "volume_ml": behaviour.volume_ml,
        "spread_ml": behaviour.spread_ml,
        "interval_seconds": behaviour.interval_seconds,
        "last_at": behaviour.last_at,
    }


def behaviour_from_map(values: Mapping[str, Any]) -> Behaviour:
    """Return the habits an item holds."""
    return Behaviour(**{**values, "bands": tuple(values["bands"])})


def _counted(counts: Mapping[str, int], name: str, most: int) -> dict[str, int]:
    """
    Return *counts* with one more for *name*, keeping the *most* frequent.

    The rarest makes room for a newcomer, which starts afresh: a place visited once must not
    inherit somebody else's count.
    """
    counted = {**counts, name: counts.get(name, 0) + 1}
    if len(counted) > most:
        rarest = min((each for each in counted if each != name), key=lambda each: counted[each])
        del counted[rarest]
    return counted


def _seen(means: Mapping[str, int], mark: str) -> dict[str, int]:
    """Return *means* with one more for *mark*; only marks by the same key make room for it."""
    by_key: dict[str, dict[str, int]] = {key_id_of(mark): {}}
    for each, count in means.items():
        by_key.setdefault(key_id_of(each), {})[each] = count
    by_key[key_id_of(mark)] = _counted(by_key[key_id_of(mark)], mark, MEANS_MAX)
    newest = sorted(by_key, key=int)[-KEYS_MAX:]
    return {each: count for key_id in newest for each, count in by_key[key_id].items()}


def _uncounted(counts: Mapping[str, int], name: str) -> dict[str, int]:
    left = {**counts, name: counts.get(name, 0) - 1}
    return {each: count for each, count in left.items() if count > 0}


def _halved(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count // 2 for name, count in counts.items() if count > 1}


def _eased(mean: int, value: int) -> int:
    return (mean * (EASE - 1) + value) // EASE


def _frequency(count: int, whole: int) -> str:
    if count == 0:
        return "new"
    return "usual" if count * 4 >= whole else "known"
