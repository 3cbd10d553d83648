"""Sales, and what is observed of them: phones mistyped, plates misread, evidence missing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from forecourt.fills import mark_of
from forecourt.hashes import Observation
from forecourt.variants import plate_variants
from tests.bench.match_eval import population as people
from tests.bench.match_eval.drivers import (
    Habits,
    habits_of,
    habits_of_member,
    somebody_else,
    token_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forecourt.fills import Fill
    from tests.bench.match_eval.population import Population

EPOCH = 1_790_000_000
A_QUARTER = 90 * 86_400
KEYPAD_NEIGHBOURS = {
    "0": "89", "1": "24", "2": "135", "3": "26", "4": "157", "5": "2468", "6": "359", "7": "48",
    "8": "5790", "9": "68",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedSale:
    """
    A sale as the simulation knows it.

    `member` made it, `None` is nobody's. `person` made it in any case, with the number `phone`
    and the car `plate`. `mistyped` says that the phone typed is not the one meant.
    """

    fill: Fill
    observations: tuple[Observation, ...]
    member: int | None
    person: str
    phone: str
    plate: str
    mistyped: bool
    habits: Habits


class SaleMaker:
    """Draws sales; the same *stream* gives the same sales."""

    def __init__(self, population: Population, *, stream: int) -> None:
        self._population = population
        self._stream = stream
        self._rng = Random(f"{population.seed}/sales/{stream}")
        self._arrays = np.random.default_rng([population.seed, stream])
        self._number = 0
        self._given_up = np.flatnonzero(population.flags & people.OLD_NUMBER)

    def sales(self, count: int) -> Iterator[SimulatedSale]:
        for _ in range(count):
            self._number += 1
            if self._rng.random() < self._population.rates.strangers:
                yield self._strangers_sale()
            else:
                yield self._members_sale()

    def _members_sale(self) -> SimulatedSale:
        rng, population, rates = self._rng, self._population, self._population.rates
        member = rng.randrange(population.size)
        habits = habits_of_member(population, member)
        fill = habits.fill(
            rng, at=self._instant(), stations_here=int(population.stations[habits.city])
        )
        observed: list[Observation] = []
        phone = str(population.phones[member])
        if population.has(member, people.OLD_NUMBER):
            phone = self._free_number(habits.city)
        car = self._car_of(member, habits.city)
        typed = self._typed(phone) if rng.random() < rates.phone_typed else ""
        if typed:
            observed.append(Observation(kind="phone", digest=typed))
        if rng.random() < rates.plate_seen:
            observed.append(self._read(car))
        if rng.random() < rates.payment_seen:
            payer = member
            if rng.random() < rates.paid_by_another_member:
                payer = somebody_else(population, member, rng)
            observed.append(Observation(kind="payment", digest=token_of(population, payer, rng)))
            fill = replace(fill, paid_with=(mark_of(observed[-1].digest),))
        if population.has(member, people.FLEET_DRIVER):
            card, held = f"f{member // people.FLEET}", True
        else:
            card, held = f"c{member}", population.has(member, people.CARD)
        if held and rng.random() < rates.card_shown:
            observed.append(Observation(kind="card", digest=card))
        if population.has(member, people.ETC) and rng.random() < rates.etc_seen:
            observed.append(Observation(kind="etc_tag", digest=f"e{member}"))
        return SimulatedSale(
            fill=fill,
            observations=tuple(observed),
            member=member,
            person=f"m{member}",
            phone=phone,
            plate=people.plate_text(car),
            mistyped=bool(typed) and typed != phone,
            habits=habits,
        )

    def _strangers_sale(self) -> SimulatedSale:
        rng, population, rates = self._rng, self._population, self._population.rates
        person = f"x{self._stream}-{self._number}"
        city = int(population.cities[rng.randrange(population.size)])
        here = int(population.stations[city])
        habits = habits_of(self._stranger(), city=city, stations_here=here, seed=population.seed)
        phone = self._free_number(city)
        plate = self._free_plate(city)
        drawn = rng.random()
        if drawn < rates.stranger_has_members_old_number and self._given_up.size:
            phone = str(population.phones[rng.choice(self._given_up)])
        elif drawn < rates.stranger_has_members_old_number + rates.stranger_drives_members_car:
            lender = rng.randrange(population.size)
            habits = habits_of_member(population, lender)
            here = int(population.stations[habits.city])
            plate = int(population.plates[lender])
        fill = habits.fill(rng, at=self._instant(), stations_here=here)
        observed: list[Observation] = []
        typed = self._typed(phone) if rng.random() < rates.stranger_types_phone else ""
        if typed:
            observed.append(Observation(kind="phone", digest=typed))
        if rng.random() < rates.plate_seen:
            observed.append(self._read(plate))
        if rng.random() < rates.payment_seen:
            observed.append(Observation(kind="payment", digest=f"t{person}"))
            fill = replace(fill, paid_with=(mark_of(observed[-1].digest),))
        return SimulatedSale(
            fill=fill,
            observations=tuple(observed),
            member=None,
            person=person,
            phone=phone,
            plate=people.plate_text(plate),
            mistyped=False,
            habits=habits,
        )

    def _stranger(self) -> int:
        """Return a number that no member's household has."""
        return self._population.size + self._stream * 1_000_000 + self._number

    def _instant(self) -> int:
        return EPOCH + self._rng.randrange(A_QUARTER)

    def _car_of(self, member: int, city: int) -> int:
        population, rng = self._population, self._rng
        if population.has(member, people.NEW_CAR):
            return self._free_plate(city)
        if (
            population.has(member, people.FLEET_DRIVER)
            and rng.random() < population.rates.fleet_car_swapped
        ):
            first = member // people.FLEET * people.FLEET
            return int(population.plates[first + rng.randrange(people.FLEET)])
        return int(population.plates[member])

    def _free_number(self, city: int) -> str:
        while True:
            phone = self._population.number_from(city, self._arrays)
            if self._population.phone_owner(phone) is None:
                return str(phone)

    def _free_plate(self, city: int) -> int:
        while True:
            plate = self._population.plate_from(city, self._arrays)
            if not self._population.plate_owners(plate):
                return plate

    def _typed(self, phone: str) -> str:
        rng, rates = self._rng, self._population.rates
        if rng.random() >= rates.phone_mistyped:
            return phone
        drawn = rng.random()
        if drawn < rates.mistyped_swap:
            place = rng.randrange(1, len(phone) - 1)
            return phone[:place] + phone[place + 1] + phone[place] + phone[place + 2 :]
        if drawn < rates.mistyped_swap + rates.mistyped_length:
            place = rng.randrange(1, len(phone))
            return phone[:place] + phone[place] * rng.choice((0, 2)) + phone[place + 1 :]
        slips = 2 if rng.random() < rates.mistyped_twice else 1
        for place in rng.sample(range(1, len(phone)), slips):
            near = KEYPAD_NEIGHBOURS[phone[place]]
            other = rng.choice(near if rng.random() < rates.mistyped_beside else "0123456789")
            phone = phone[:place] + other + phone[place + 1 :]
        return phone

    def _read(self, code: int) -> Observation:
        rng, rates = self._rng, self._population.rates
        plate = people.plate_text(code)
        if rng.random() >= rates.plate_misread:
            return Observation(kind="plate", digest=plate, unsure=rng.random() < rates.read_unsure)
        variants = plate_variants(plate)
        if variants and rng.random() < rates.misread_within_class:
            wrong = rng.choice(variants)
        else:
            place = rng.randrange(2, len(plate))
            wrong = plate[:place] + rng.choice(people.SERIAL) + plate[place + 1 :]
        return Observation(kind="plate", digest=wrong, unsure=rng.random() < rates.misread_unsure)
