"""
The members: numbers from real ranges, spread over cities as people are; cars, households.

Arrays only, about 60 bytes a member, so that ten million fit beside everything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from tests.bench.match_eval.rates import Rates

    Ints = npt.NDArray[np.int64]

# The ranges the ministry gave to mobile operators, without virtual operators' and data-only ones.
RANGES = (
    *range(130, 140), 145, 147, *range(150, 154), *range(155, 160), 166, 167, 172, 173, 175, 176,
    177, 178, *range(180, 190), 190, 191, 193, 195, 196, 197, 198, 199,
)  # fmt: skip
BLOCKS_A_RANGE = 10_000
NUMBERS_A_BLOCK = 10_000
ASSIGNED = 0.85  # of a range's blocks
CITIES = 337
PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
SERIAL = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
SERIAL_LENGTH = 5
SERIALS: int = len(SERIAL) ** SERIAL_LENGTH
FLEET = 20
MEMBERS_A_STATION = 2_500
TWO_LETTERS, ONE_LETTER = 0.25, 0.75  # of serials: at least one letter, at least two

PLATE, PAYMENT, CARD, ETC, OLD_NUMBER, NEW_CAR, FAMILY, FLEET_DRIVER, REPORTS = (
    1 << n for n in range(9)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """
    Members by number, 0 to `size` - 1.

    `phones` and `plates` are what is on record. `by_phone` and `by_plate` sort them; a family
    has its plate twice. `blocks` counts members by the first seven digits less 1,000,000.
    """

    size: int
    seed: int
    rates: Rates
    cities: npt.NDArray[np.int16]
    phones: Ints
    plates: Ints
    flags: npt.NDArray[np.uint16]
    by_phone: npt.NDArray[np.int32]
    sorted_phones: Ints
    by_plate: npt.NDArray[np.int32]
    sorted_plates: Ints
    blocks: npt.NDArray[np.int32]
    city_blocks: tuple[Ints, ...]
    stations: npt.NDArray[np.int32]
    city_letters: Ints

    def has(self, member: int, flag: int) -> bool:
        return bool(self.flags[member] & flag)

    def household(self, member: int) -> int:
        """Return the member whose car and habits these are."""
        return member & ~1 if self.has(member, FAMILY) else member

    def drivers_with(self, member: int) -> list[int]:
        """Return who else drives the member's car: the family, or the fleet."""
        together = 2 if self.has(member, FAMILY) else FLEET if self.has(member, FLEET_DRIVER) else 1
        first = member // together * together
        return [each for each in range(first, first + together) if each != member]

    def phone_owner(self, phone: int) -> int | None:
        place = int(np.searchsorted(self.sorted_phones, phone))
        if place < self.size and self.sorted_phones[place] == phone:
            return int(self.by_phone[place])
        return None

    def household_of_plate(self, plate: int) -> list[int]:
        """Return whose car it is, bound or not."""
        low = int(np.searchsorted(self.sorted_plates, plate))
        high = int(np.searchsorted(self.sorted_plates, plate, side="right"))
        return [int(each) for each in self.by_plate[low:high]]

    def plate_owners(self, plate: int) -> list[int]:
        return [member for member in self.household_of_plate(plate) if self.has(member, PLATE)]

    def number_from(self, city: int, rng: np.random.Generator) -> int:
        """Return any number given to *city*."""
        blocks = self.city_blocks[city]
        return int(blocks[rng.integers(len(blocks))]) * NUMBERS_A_BLOCK + int(
            rng.integers(NUMBERS_A_BLOCK)
        )

    def plate_from(self, city: int, rng: np.random.Generator) -> int:
        """Return any plate of *city*."""
        one = np.array([city], dtype=np.int16)
        return int(_plates(one, self.city_letters, rng)[0])


def build(*, members: int, cities: int, rates: Rates, seed: int) -> Population:
    """Return *members* spread over *cities*, the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    people: npt.NDArray[np.float64] = (
        1.0 / (np.arange(cities, dtype=np.float64) + 8.0) ** 0.9
    )  # Zipf-Mandelbrot, as cities are
    people = (people / people.sum()).astype(np.float64)
    presence = people * rng.lognormal(0.0, 0.8, cities)  # a chain is stronger here than there
    flags = _flags(members, rates, rng)
    homes = rng.choice(cities, members, p=presence / presence.sum()).astype(np.int16)
    _as_first(homes, flags, FAMILY, 2)
    _as_first(homes, flags, FLEET_DRIVER, FLEET)
    city_blocks = _city_blocks(people, rng)
    phones = _phones(homes, city_blocks, rates, rng)
    letters = np.concatenate([[0], np.cumsum(np.ceil(people * 120).astype(np.int64))])
    plates = _unique_plates(homes, letters, flags, rng)
    by_phone = np.argsort(phones, kind="stable").astype(np.int32)
    by_plate = np.argsort(plates, kind="stable").astype(np.int32)
    stations = np.maximum(3, np.bincount(homes, minlength=cities) // MEMBERS_A_STATION)
    return Population(
        size=members,
        seed=seed,
        rates=rates,
        cities=homes,
        phones=phones,
        plates=plates,
        flags=flags,
        by_phone=by_phone,
        sorted_phones=phones[by_phone],
        by_plate=by_plate,
        sorted_plates=plates[by_plate],
        blocks=np.bincount(phones // NUMBERS_A_BLOCK - 1_000_000, minlength=1_000_000).astype(
            np.int32
        ),
        city_blocks=city_blocks,
        stations=stations.astype(np.int32),
        city_letters=letters,
    )


def plate_text(code: int) -> str:
    """Return the plate behind a code."""
    area, serial = divmod(code, SERIALS)
    text = ""
    for _ in range(SERIAL_LENGTH):
        serial, digit = divmod(serial, len(SERIAL))
        text = SERIAL[digit] + text
    return PROVINCES[area // len(LETTERS)] + LETTERS[area % len(LETTERS)] + text


def plate_code(text: str) -> int:
    """Return the code of a plate, or -1 for one that is not ordinary."""
    if len(text) != SERIAL_LENGTH + 2 or text[0] not in PROVINCES or text[1] not in LETTERS:
        return -1
    serial = 0
    for each in text[2:]:
        place = SERIAL.find(each)
        if place < 0:
            return -1
        serial = serial * len(SERIAL) + place
    area = PROVINCES.index(text[0]) * len(LETTERS) + LETTERS.index(text[1])
    return area * SERIALS + serial


def _flags(members: int, rates: Rates, rng: np.random.Generator) -> npt.NDArray[np.uint16]:
    flags = np.zeros(members, dtype=np.uint16)
    for flag, share in (
        (PLATE, rates.plate_bound),
        (PAYMENT, rates.payment_linked),
        (CARD, rates.card_held),
        (ETC, rates.etc_bound),
        (OLD_NUMBER, rates.number_given_up),
        (NEW_CAR, rates.car_changed),
        (REPORTS, rates.app_reports),
    ):
        flags[rng.random(members, dtype=np.float32) < share] |= np.uint16(flag)
    for flag, together, share in ((FLEET_DRIVER, FLEET, rates.fleets), (FAMILY, 2, rates.families)):
        groups = rng.random(members // together) < share
        chosen = np.repeat(groups, together)
        free = (flags[: len(chosen)] & FLEET_DRIVER) == 0
        flags[: len(chosen)][chosen & free] |= np.uint16(flag)
    flags[(flags & FAMILY) != 0] &= np.uint16(0xFFFF - NEW_CAR)
    return flags


def _as_first(
    homes: npt.NDArray[np.int16], flags: npt.NDArray[np.uint16], flag: int, n: int
) -> None:
    """Let the members of a group live where its first one lives."""
    whole = len(homes) // n * n
    grouped = homes[:whole].reshape(-1, n)
    together = (flags[:whole].reshape(-1, n) & flag).all(axis=1)
    grouped[together] = grouped[together, :1]


def _city_blocks(people: npt.NDArray[np.float64], rng: np.random.Generator) -> tuple[Ints, ...]:
    """Give each city a run of blocks in each range, as large as its share of the people."""
    found: list[list[Ints]] = [[] for _ in people]
    for first in RANGES:
        order = rng.permutation(len(people))
        ends = (np.cumsum(people[order]) * BLOCKS_A_RANGE * ASSIGNED).astype(np.int64)
        starts = np.concatenate([[0], ends[:-1]])
        for city, start, end in zip(order, starts, ends, strict=True):
            found[city].append(np.arange(start, end, dtype=np.int64) + first * BLOCKS_A_RANGE)
    return tuple(np.concatenate(each) for each in found)


def _phones(
    homes: npt.NDArray[np.int16],
    city_blocks: tuple[Ints, ...],
    rates: Rates,
    rng: np.random.Generator,
) -> Ints:
    sizes = np.array([len(each) for each in city_blocks])
    offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    every = np.concatenate(city_blocks)
    phones = np.zeros(len(homes), dtype=np.int64)
    wanted = np.arange(len(homes))
    while wanted.size:
        cities = homes[wanted].astype(np.int64)
        away = rng.random(wanted.size) < rates.moved_away
        cities[away] = rng.integers(0, len(sizes), int(away.sum()))
        blocks = every[offsets[cities] + (rng.random(wanted.size) * sizes[cities]).astype(np.int64)]
        phones[wanted] = blocks * NUMBERS_A_BLOCK + rng.integers(0, NUMBERS_A_BLOCK, wanted.size)
        wanted = _repeated(phones)
    return phones


def _unique_plates(
    homes: npt.NDArray[np.int16],
    letters: Ints,
    flags: npt.NDArray[np.uint16],
    rng: np.random.Generator,
) -> Ints:
    plates = np.zeros(len(homes), dtype=np.int64)
    wanted = np.arange(len(homes))
    while wanted.size:
        plates[wanted] = _plates(homes[wanted], letters, rng)
        wanted = _repeated(plates)
    second = np.arange(1, len(homes), 2)
    second = second[(flags[second] & FAMILY) != 0]
    plates[second] = plates[second - 1]
    return plates


def _plates(homes: npt.NDArray[np.int16], letters: Ints, rng: np.random.Generator) -> Ints:
    """Return plates of the members' cities: serials mostly of digits, with a letter or two."""
    areas = letters[homes] + (
        rng.random(len(homes)) * (letters[homes.astype(np.int64) + 1] - letters[homes])
    ).astype(np.int64)
    places = rng.integers(0, 10, (len(homes), SERIAL_LENGTH), dtype=np.int8)
    for share in (ONE_LETTER, TWO_LETTERS):
        chosen = np.flatnonzero(rng.random(len(homes)) < share)
        places[chosen, rng.integers(0, SERIAL_LENGTH, chosen.size)] = rng.integers(
            10, len(SERIAL), chosen.size, dtype=np.int8
        )
    serial = np.zeros(len(homes), dtype=np.int64)
    for place in range(SERIAL_LENGTH):
        serial = serial * len(SERIAL) + places[:, place]
    codes: Ints = areas % (len(PROVINCES) * len(LETTERS)) * SERIALS + serial
    return codes


def _repeated(values: Ints) -> Ints:
    """Return the places of all but one of each value that occurs more than once."""
    order = np.argsort(values, kind="stable")
    same = values[order][1:] == values[order][:-1]
    repeated: Ints = order[1:][same]
    return repeated
