"""The tables as matching sees them: keys in, owners out, every read counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from forecourt.errors import InvalidIdentity
from forecourt.inquiry import Found, LookUp
from forecourt.variants import meant_phones, plate_variants
from tests.bench.match_eval import population as people
from tests.bench.match_eval.drivers import drivers_of, portrait_of, presences_of

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from forecourt.hashes import EvidenceKey, Observation
    from tests.bench.match_eval.population import Population
    from tests.bench.match_eval.sales import SimulatedSale

Answer = TypeVar("Answer")


@dataclass(slots=True)
class Reads:
    """
    What the look-ups cost: a key or item is half a read unit, eventually consistent.

    With a portrait go the member's check-ins, an item of their own.
    """

    inquiries: int = 0
    round_trips: int = 0
    keys: int = 0
    portraits: int = 0
    most_round_trips: int = 0
    most_keys: int = 0

    def __add__(self, other: Reads) -> Reads:
        return Reads(
            inquiries=self.inquiries + other.inquiries,
            round_trips=self.round_trips + other.round_trips,
            keys=self.keys + other.keys,
            portraits=self.portraits + other.portraits,
            most_round_trips=max(self.most_round_trips, other.most_round_trips),
            most_keys=max(self.most_keys, other.most_keys),
        )

    @property
    def units(self) -> float:
        return (self.keys + 2 * self.portraits) / 2


@dataclass(slots=True)
class Store:
    """The members of a population behind look-ups by key; `bound_later` lies on top."""

    population: Population
    reads: Reads = field(default_factory=Reads)
    bound_later: dict[EvidenceKey, tuple[str, ...]] = field(default_factory=dict)

    def converse(self, inquiry: Generator[LookUp, Found, Answer], sale: SimulatedSale) -> Answer:
        """Answer an inquiry's questions until it has its answer."""
        trips = 0
        try:
            asked = next(inquiry)
            while True:
                trips += 1
                asked = inquiry.send(self._answer(asked, sale))
        except StopIteration as stop:
            self.reads.inquiries += 1
            self.reads.round_trips += trips
            self.reads.most_round_trips = max(trips, self.reads.most_round_trips)
            answer: Answer = stop.value
            return answer

    def owners(self, keys: Sequence[EvidenceKey]) -> dict[EvidenceKey, tuple[str, ...]]:
        """Return who has bound what."""
        found: dict[EvidenceKey, tuple[str, ...]] = {}
        phones = [key for key in keys if key.kind == "phone"]
        if phones:
            found |= self._phone_owners(phones)
        for key in keys:
            owners = () if key.kind == "phone" else self._owners_of(key)
            later = self.bound_later.get(key, ())
            if owners or later:
                found[key] = tuple(dict.fromkeys((*found.get(key, ()), *owners, *later)))
        return found

    def block_members(self, phone: str) -> int:
        place = int(phone[:7]) - 1_000_000 if phone[:7].isdigit() else -1
        return int(self.population.blocks[place]) if 0 <= place < 1_000_000 else 0

    def _answer(self, asked: LookUp, sale: SimulatedSale) -> Found:
        self.reads.keys += len(asked.keys) + asked.with_density
        self.reads.most_keys = max(self.reads.most_keys, len(asked.keys))
        self.reads.portraits += len(asked.portraits)
        phone = next((each.digest for each in asked.keys if each.kind == "phone"), "")
        members = [int(each) for each in asked.portraits if each.isdigit()]
        cars = [key for key in asked.keys if asked.with_drivers and key.kind == "plate"]
        return Found(
            owners=self.owners(asked.keys),
            drivers={key: self._drivers_of(key) for key in cars},
            portraits={
                str(each): portrait_of(
                    self.population, each, at=sale.fill.at, made_it=each == sale.member
                )
                for each in members
            },
            presences={
                str(each): presences_of(self.population, each, fill=sale.fill, maker=sale.member)
                for each in members
            },
            block_members=self.block_members(phone) if asked.with_density and phone else 0,
        )

    def _phone_owners(self, keys: Sequence[EvidenceKey]) -> dict[EvidenceKey, tuple[str, ...]]:
        numbers = np.array([int(key.digest) for key in keys], dtype=np.int64)
        places = np.searchsorted(self.population.sorted_phones, numbers)
        places[places == self.population.size] = 0
        hits = np.flatnonzero(self.population.sorted_phones[places] == numbers)
        return {keys[int(hit)]: (str(self.population.by_phone[places[hit]]),) for hit in hits}

    def _drivers_of(self, key: EvidenceKey) -> list[str]:
        """Return who was credited with sales at which that car was seen."""
        code = people.plate_code(key.digest)
        return [str(each) for each in drivers_of(self.population, code)] if code >= 0 else []

    def _owners_of(self, key: EvidenceKey) -> tuple[str, ...]:
        population, value = self.population, key.digest
        if key.kind == "plate":
            code = people.plate_code(value)
            return tuple(map(str, population.plate_owners(code))) if code >= 0 else ()
        if not value[1:].isdigit():
            return ()
        number = int(value[1:])
        match value[0]:
            case "t":
                bound = population.has(number, people.PAYMENT)
            case "c":
                bound = population.has(number, people.CARD)
            case "e":
                bound = population.has(number, people.ETC)
            case "f":
                first = number * people.FLEET
                return tuple(str(first + each) for each in range(people.FLEET))
            case _:
                bound = False
        return (str(number),) if bound else ()


def slips(seen: Observation) -> tuple[str, ...]:
    """Return what an observation may have been; the simulation's digests are the values."""
    if seen.kind == "plate":
        return plate_variants(seen.digest)
    try:
        return meant_phones(seen.digest)
    except InvalidIdentity:
        return ()
