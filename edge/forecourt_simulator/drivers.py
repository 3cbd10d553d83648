"""
Who comes to a station: people with a plate, a car and habits.

Everything follows from a seed. A driver is the same person in every run of that seed, and so
is the order in which a station's drivers come, the nozzle each takes and what each buys; how
fast the simulation runs changes none of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from forecourt.sales import Evidence, EvidenceKind
from forecourt_simulator.flow import Flow
from forecourt_simulator.nozzle import volume_ml_for
from forecourt_simulator.plates import Energy, draw_plate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Grade, how common it is at the pump, and what its cars' tanks hold.
_CARS = (
    ("92", 55, (40_000, 55_000)),
    ("95", 30, (50_000, 70_000)),
    ("98", 5, (60_000, 85_000)),
    ("0", 10, (70_000, 400_000)),
)
_HYBRIDS_PERCENT = 12
_HOME_PROVINCE_PERCENT = 85
_HOME_PROVINCE = "浙"
_OTHER_PROVINCES = "沪苏皖赣闽豫"
_FIXED_AMOUNTS_FEN = (10_000, 20_000, 20_000, 30_000)
_FIXED_AMOUNT_PERCENT = 35
_BEARER_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# How members say at the till who they are; nothing means that the camera has to know the plate.
# Most pay with their telephones, which tell an account, and many type their number as well.
_AT_THE_TILL: tuple[tuple[EvidenceKind, ...], ...] = (
    (),
    (EvidenceKind.PHONE,),
    (EvidenceKind.ETC_TAG,),
    (EvidenceKind.CARD, EvidenceKind.PAYMENT),
    (EvidenceKind.PAYMENT,),
    (EvidenceKind.PAYMENT,),
    (EvidenceKind.PHONE, EvidenceKind.PAYMENT),
    (EvidenceKind.PHONE, EvidenceKind.PAYMENT),
)
_MISTYPED_PERCENT = 6
_BRINGS_FUEL_PERCENT = (5, 45)  # how full a tank is when its driver decides to stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """
    One person with one car.

    `member_key` names the member in the simulation and is `None` for a guest; a member has
    every identity, and shows those in `at_the_till`.
    """

    key: str
    plate: str
    grade: str
    tank_ml: int
    usual_station: str
    buys_for_fen: int | None
    member_key: str | None
    identities: Mapping[EvidenceKind, str]
    at_the_till: tuple[EvidenceKind, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """
    One driver's stop, planned: when, at which nozzle, how much.

    `volume_ml` is what the driver lets flow unless the preset ends it first; zero is a nozzle
    lifted and hung up again. Times are running milliseconds.
    """

    number: int
    driver: Driver
    nozzle: int
    arrives_at_ms: int
    walks_ms: int
    dawdles_ms: int
    leaves_ms: int
    volume_ml: int
    preset_fen: int | None

    def evidence(self) -> tuple[Evidence, ...]:
        """Return what the till learns of the driver; now and then a digit of a phone is wrong."""
        rng = Random(f"{self.driver.key} {self.number} till")
        mistypes = rng.randrange(100) < _MISTYPED_PERCENT
        return tuple(
            Evidence(
                kind=kind,
                value=(_mistyped(rng, value) if mistypes and kind is EvidenceKind.PHONE else value),
                source="till",
            )
            for kind in self.driver.at_the_till
            for value in (self.driver.identities[kind],)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a station sells at one nozzle."""

    grade: str
    unit_price_milli_per_litre: int


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How busy a station is and how its visitors behave; shares are in percent."""

    arrivals_per_hour: int = 120
    strangers_percent: int = 10
    zero_sales_percent: int = 1
    patience_minutes: int = 10
    flow: Flow = field(default_factory=Flow)

    def __post_init__(self) -> None:
        if self.arrivals_per_hour <= 0 or self.patience_minutes < 0:
            raise ValueError(self)
        for share in (self.strangers_percent, self.zero_sales_percent):
            if not 0 <= share <= 100:  # noqa: PLR2004 - percent
                raise ValueError(share)


def draw_drivers(
    *, seed: int, count: int, stations: Sequence[str], members_percent: int = 60
) -> list[Driver]:
    """Return *count* drivers, each at home at one of *stations*; no two share a plate."""
    rng = Random(f"{seed} drivers")
    drivers: list[Driver] = []
    plates: set[str] = set()
    weights = [share for _, share, _ in _CARS]
    for index in range(count):
        grade, _, (smallest_ml, largest_ml) = rng.choices(_CARS, weights)[0]
        plate = _new_plate(rng, plates, grade=grade)
        is_member = rng.randrange(100) < members_percent
        fixed_amount = rng.randrange(100) < _FIXED_AMOUNT_PERCENT
        driver = Driver(
            key=f"d{index + 1:05}",
            plate=plate,
            grade=grade,
            tank_ml=rng.randrange(smallest_ml, largest_ml + 1, 1_000),
            usual_station=stations[index % len(stations)],
            buys_for_fen=rng.choice(_FIXED_AMOUNTS_FEN) if fixed_amount else None,
            member_key=f"m{index + 1:05}" if is_member else None,
            identities=_draw_identities(rng, plate) if is_member else {},
            at_the_till=rng.choice(_AT_THE_TILL) if is_member else (),
        )
        drivers.append(driver)
    return drivers


def plan_visits(
    *,
    seed: int,
    station_id: str,
    drivers: Sequence[Driver],
    offers: Mapping[int, Offer],
    habits: Habits,
    resolution_ml: int = 10,
) -> Iterator[Visit]:
    """
    Yield the visits of one station without end, in the order of their arrival.

    A driver comes for one grade and takes the nozzle of that grade which will be free first,
    or drives on when that takes longer than people here are patient. Raises `ValueError`
    when no driver wants anything the station sells.
    """
    grades = {offer.grade for offer in offers.values()}
    customers = [driver for driver in drivers if driver.grade in grades]
    if not customers:
        raise ValueError(sorted(grades))
    regulars = [driver for driver in customers if driver.usual_station == station_id]
    strangers = [driver for driver in customers if driver.usual_station != station_id]
    rng = Random(f"{seed} {station_id} visits")
    free_at_ms = dict.fromkeys(offers, 0)
    last_seen: dict[str, int] = {}
    clock_ms = 0
    number = 0
    while True:
        clock_ms += round(rng.expovariate(habits.arrivals_per_hour) * 3_600_000)
        is_stranger = strangers and rng.randrange(100) < habits.strangers_percent
        pool = strangers if is_stranger or not regulars else regulars
        driver = _longest_away(rng, pool, last_seen)
        nozzle = min(
            (nozzle for nozzle, offer in offers.items() if offer.grade == driver.grade),
            key=lambda nozzle: (free_at_ms[nozzle], nozzle),
        )
        if free_at_ms[nozzle] - clock_ms > habits.patience_minutes * 60_000:
            continue
        number += 1
        last_seen[driver.key] = number
        visit = Visit(
            number=number,
            driver=driver,
            nozzle=nozzle,
            arrives_at_ms=clock_ms,
            walks_ms=rng.randrange(8_000, 30_000),
            dawdles_ms=rng.randrange(3_000, 20_000),
            leaves_ms=rng.randrange(8_000, 25_000),
            volume_ml=_wanted_ml(rng, driver, habits, resolution_ml),
            preset_fen=driver.buys_for_fen,
        )
        served_ml = visit.volume_ml
        if visit.preset_fen is not None:
            price = offers[nozzle].unit_price_milli_per_litre
            served_ml = min(served_ml, volume_ml_for(visit.preset_fen, price, resolution_ml))
        fuels_ms = habits.flow.duration_ms(served_ml)
        busy_ms = visit.walks_ms + fuels_ms + visit.dawdles_ms + visit.leaves_ms
        free_at_ms[nozzle] = max(free_at_ms[nozzle], clock_ms) + busy_ms
        yield visit


def _new_plate(rng: Random, taken: set[str], *, grade: str) -> str:
    """Draw a plate nobody has; hybrids drink petrol, and the pure electric stay away."""
    while True:
        at_home = rng.randrange(100) < _HOME_PROVINCE_PERCENT
        is_hybrid = grade != "0" and rng.randrange(100) < _HYBRIDS_PERCENT
        plate = draw_plate(
            rng,
            province=_HOME_PROVINCE if at_home else rng.choice(_OTHER_PROVINCES),
            energy=Energy.HYBRID if is_hybrid else Energy.COMBUSTION,
        )
        if plate not in taken:
            taken.add(plate)
            return plate


def _draw_identities(rng: Random, plate: str) -> dict[EvidenceKind, str]:
    return {
        EvidenceKind.PLATE: plate,
        EvidenceKind.PHONE: f"1{rng.randrange(3, 10)}{rng.randrange(10**9):09}",
        EvidenceKind.CARD: f"9{rng.randrange(10**15):015}",
        EvidenceKind.PAYMENT: "o" + "".join(rng.choices(_BEARER_ALPHABET, k=27)),
        EvidenceKind.ETC_TAG: f"3301{rng.randrange(10**16):016}",
    }


def _mistyped(rng: Random, phone: str) -> str:
    """Return *phone* with one digit another, which the first two never are."""
    place = rng.randrange(2, len(phone))
    other = str((int(phone[place]) + rng.randrange(1, 10)) % 10)
    return phone[:place] + other + phone[place + 1 :]


def _longest_away(rng: Random, pool: Sequence[Driver], last_seen: Mapping[str, int]) -> Driver:
    """Pick among a few at random the one who has not been here for longest: tanks last."""
    candidates = rng.sample(pool, k=min(len(pool), 4))
    return min(candidates, key=lambda driver: last_seen.get(driver.key, 0))


def _wanted_ml(rng: Random, driver: Driver, habits: Habits, resolution_ml: int) -> int:
    if rng.randrange(100) < habits.zero_sales_percent:
        return 0
    least, most = _BRINGS_FUEL_PERCENT
    wanted_ml = driver.tank_ml * (100 - rng.randrange(least, most)) // 100
    # The last glug before the nozzle clicks off differs every time.
    wanted_ml -= rng.randrange(0, 1_000, 10)
    return wanted_ml - wanted_ml % resolution_ml
