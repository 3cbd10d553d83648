"""Habits of a household, and what matching would know of a member: portrait, check-ins, cars."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from forecourt.agreement import Portrait
from forecourt.behaviour import Behaviour
from forecourt.fills import Fill, mark_of
from forecourt.presence import CheckIn, Presences
from tests.bench.match_eval import population as people

if TYPE_CHECKING:
    from tests.bench.match_eval.population import Population

DAY = 86_400
SPREAD = 1_000_000_007  # keeps the draws of one seed apart from another's
REMEMBERED = 10  # past sales replayed into a portrait at most
GRADES, GRADE_SHARES = ("92", "95", "98", "0"), (55, 32, 5, 8)
MEAN_DAYS = (2, 5, 7, 7, 9, 10, 12, 14, 18, 25)
MEAN_LITRES = {"92": (25, 45), "95": (28, 50), "98": (30, 55), "0": (40, 180)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What a household does at the pump, as nobody but the simulation knows it."""

    city: int
    stations: tuple[int, ...]
    grade: str
    mean_ml: int
    interval: int
    peak: int

    def fill(self, rng: Random, *, at: int, stations_here: int) -> Fill:
        """Return a fill like theirs."""
        drawn = rng.random()
        station = (
            self.stations[0] if drawn < 0.65
            else self.stations[1] if drawn < 0.83
            else self.stations[2] if drawn < 0.90
            else rng.randrange(stations_here)
        )  # fmt: skip
        hour = (
            (self.peak + rng.choice((-1, 0, 0, 1))) % 24
            if rng.random() < 0.7
            else rng.randrange(6, 23)
        )
        grade = self.grade if rng.random() < 0.98 else rng.choice(GRADES)
        litres = self.mean_ml * min(1.6, max(0.2, rng.gauss(1.0, 0.2)))
        return Fill(
            station_id=f"s{self.city}-{station}",
            grade=grade,
            volume_ml=int(litres) // 10 * 10,
            hour=hour,
            at=at,
        )

    def gap(self, rng: Random) -> int:
        """Return the seconds from one fill to the next."""
        if rng.random() < 0.03:  # topping up before a journey
            return int(self.interval * rng.uniform(0.02, 1.0))
        return int(self.interval * rng.lognormvariate(0.0, 0.35))


def habits_of(household: int, *, city: int, stations_here: int, seed: int) -> Habits:
    """Return the habits of a household, always the same."""
    rng = Random(seed * SPREAD + household)
    grade = rng.choices(GRADES, GRADE_SHARES)[0]
    low, high = MEAN_LITRES[grade]
    return Habits(
        city=city,
        stations=tuple(rng.randrange(stations_here) for _ in range(3)),
        grade=grade,
        mean_ml=rng.randrange(low, high) * 1000,
        interval=int(DAY * rng.choice(MEAN_DAYS) * rng.uniform(0.8, 1.25)),
        peak=rng.choice((7, 8, 9, 12, 15, 17, 18, 19, 20)),
    )


def habits_of_member(population: Population, member: int) -> Habits:
    city = int(population.cities[member])
    return habits_of(
        population.household(member),
        city=city,
        stations_here=int(population.stations[city]),
        seed=population.seed,
    )


def portrait_of(population: Population, member: int, *, at: int, made_it: bool) -> Portrait:
    """
    Return what is on record of *member* just before the instant *at*.

    Whoever *made* the sale is due for one; anybody else is anywhere in their cycle.
    """
    habits = habits_of_member(population, member)
    rng, sales = past_of(population, member)
    stations_here = int(population.stations[habits.city])
    chance = Random(at ^ member)
    first_gap = habits.gap(chance)
    when = at - (first_gap if made_it else max(60, int(first_gap * chance.random())))
    times = []
    for _ in range(sales):
        times.append(when)
        when -= habits.gap(rng)
    behaviour = Behaviour()
    for each in reversed(times):
        credited = rng.random() < population.rates.past_credited
        fill = habits.fill(rng, at=each, stations_here=stations_here)
        if rng.random() < population.rates.payment_seen:
            token = token_of(population, member, rng)
            fill = replace(fill, paid_with=(mark_of(token),))
        if credited:
            behaviour = behaviour.after(fill)
    return Portrait(identities=identities_of(population, member), behaviour=behaviour)


def somebody_else(population: Population, member: int, rng: Random) -> int:
    """Return who pays for a sale of *member*'s, or picks up its receipt: often who rides along."""
    close = population.drivers_with(member)
    if close and rng.random() < population.rates.another_is_close:
        return rng.choice(close)
    return rng.randrange(population.size)


def token_of(population: Population, member: int, rng: Random) -> str:
    """Return what *member* pays with this time."""
    return f"o{member}" if rng.random() < population.rates.paid_otherwise else f"t{member}"


def presences_of(
    population: Population, member: int, *, fill: Fill, maker: int | None
) -> Presences:
    """Return where a member's app checked in around a sale that *maker* made."""
    rates = population.rates
    if not population.has(member, people.REPORTS):
        return Presences()
    chance = Random((fill.at * SPREAD) ^ member)
    is_there = member == maker or (
        maker is not None
        and population.has(member, people.FAMILY)
        and member ^ 1 == maker
        and chance.random() < rates.rides_along
    )
    stations = [fill.station_id] if is_there and chance.random() < rates.checked_in else []
    if chance.random() < rates.checked_in_elsewhere:
        stations.append("elsewhere")
    at = fill.at - chance.randrange(-300, 900)
    return Presences(check_ins=tuple(CheckIn(at=at, station_id=each) for each in stations))


def drivers_of(population: Population, plate: int) -> list[int]:
    """Return who has been credited with a sale at which the car was seen."""
    rates = population.rates
    seen = rates.plate_seen * (1 - rates.plate_misread) * rates.past_credited
    household = population.household_of_plate(plate)
    shares = dict.fromkeys(household, seen)
    for each in household:
        if population.has(each, people.FLEET_DRIVER):
            first = each // people.FLEET * people.FLEET
            swapped = seen * rates.fleet_car_swapped / people.FLEET
            shares |= dict.fromkeys(range(first, first + people.FLEET), swapped)
            shares[each] = seen * (1 - rates.fleet_car_swapped)
    found = []
    for member, share in shares.items():
        _, sales = past_of(population, member)
        chance = Random((population.seed * SPREAD + plate) ^ member)
        if any(chance.random() < share for _ in range(sales)):
            found.append(member)
    return found


def identities_of(population: Population, member: int) -> dict[str, frozenset[str]]:
    """Return what *member* has bound, by kind."""
    identities = {"phone": frozenset({str(population.phones[member])})}
    if population.has(member, people.PLATE):
        identities["plate"] = frozenset({people.plate_text(int(population.plates[member]))})
    if population.has(member, people.PAYMENT):
        identities["payment"] = frozenset({f"t{member}"})
    if population.has(member, people.FLEET_DRIVER):
        identities["card"] = frozenset({f"f{member // people.FLEET}"})
    elif population.has(member, people.CARD):
        identities["card"] = frozenset({f"c{member}"})
    if population.has(member, people.ETC):
        identities["etc_tag"] = frozenset({f"e{member}"})
    return identities


def past_of(population: Population, member: int) -> tuple[Random, int]:
    """Return how many sales a member has made, and what else of them is drawn from."""
    rng = Random(population.seed * SPREAD - member)
    new = rng.random() < population.rates.new_member
    return rng, rng.randrange(3) if new else rng.randrange(3, REMEMBERED + 1)
