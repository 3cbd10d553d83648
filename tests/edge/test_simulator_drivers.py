"""Plates by the grammar, and drivers who are the same people for the same seed."""

from __future__ import annotations

from itertools import islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.sales import EvidenceKind
from forecourt_simulator.drivers import Driver, Habits, Offer, Visit, draw_drivers, plan_visits
from forecourt_simulator.nozzle import volume_ml_for
from forecourt_simulator.plates import (
    PROVINCES,
    Energy,
    draw_plate,
    energy_of,
    misread,
)

STATIONS = ["s0001", "s0002"]
OFFERS = {
    1: Offer(grade="92", unit_price_milli_per_litre=7_560),
    2: Offer(grade="92", unit_price_milli_per_litre=7_560),
    3: Offer(grade="95", unit_price_milli_per_litre=8_050),
    4: Offer(grade="0", unit_price_milli_per_litre=7_210),
}

seeds = st.integers(0, 2**32)


def plan(*, seed: int = 7, count: int = 200, habits: Habits | None = None) -> list[Visit]:
    drivers = draw_drivers(seed=seed, count=300, stations=STATIONS)
    visits = plan_visits(
        seed=seed,
        station_id="s0001",
        drivers=drivers,
        offers=OFFERS,
        habits=habits or Habits(),
    )
    return list(islice(visits, count))


@given(seeds, st.sampled_from(PROVINCES), st.sampled_from(Energy))
def test_a_drawn_plate_says_by_grammar_what_it_was_drawn_for(
    seed: int, province: str, energy: Energy
) -> None:
    plate = draw_plate(Random(seed), province=province, energy=energy)

    assert energy_of(plate) is energy
    assert len(plate) == (7 if energy is Energy.COMBUSTION else 8)
    assert not set("IO") & set(plate[2:])


@pytest.mark.parametrize(
    ("plate", "energy"),
    [
        ("浙A12345", Energy.COMBUSTION),
        ("京AD12345", Energy.ELECTRIC),
        ("沪AE12345", Energy.ELECTRIC),
        ("粤BF12345", Energy.HYBRID),
        ("粤BK12345", Energy.HYBRID),
        ("粤B12345F", Energy.HYBRID),
        ("粤B12345D", Energy.ELECTRIC),
        ("浙A1234", None),
        ("浙AI2345", None),
        ("浙A123456", None),
        ("象A12345", None),
    ],
)
def test_the_grammar_tells_plates_apart(plate: str, energy: Energy | None) -> None:
    assert energy_of(plate) is energy


@given(seeds)
def test_a_misread_plate_differs_in_the_one_place_it_names(seed: int) -> None:
    rng = Random(seed)
    plate = draw_plate(rng, province="浙")

    wrong, place = misread(rng, plate)

    wrong_at = [at for at, character in enumerate(wrong) if character != plate[at]]
    assert wrong_at == [place]
    assert len(wrong) == len(plate)


def test_the_same_seed_brings_the_same_people_to_the_same_nozzles() -> None:
    assert plan(seed=7) == plan(seed=7)
    assert plan(seed=7) != plan(seed=8)


def test_a_plan_does_not_depend_on_how_much_of_it_is_used() -> None:
    assert plan(count=50) == plan(count=200)[:50]


def test_no_two_drivers_share_a_plate_and_none_drives_on_electricity_alone() -> None:
    drivers = draw_drivers(seed=7, count=5_000, stations=STATIONS)

    plates = [driver.plate for driver in drivers]

    assert len(set(plates)) == 5_000
    assert {energy_of(plate) for plate in plates} == {Energy.COMBUSTION, Energy.HYBRID}


def test_members_have_every_identity_and_guests_have_none() -> None:
    drivers = draw_drivers(seed=7, count=500, stations=STATIONS, members_percent=60)
    members = [driver for driver in drivers if driver.member_key]

    assert 250 < len(members) < 350
    assert all(set(driver.identities) == set(EvidenceKind) for driver in members)
    assert all(driver.identities[EvidenceKind.PLATE] == driver.plate for driver in members)
    guests = [driver for driver in drivers if not driver.member_key]
    assert all(not driver.identities and not driver.at_the_till for driver in guests)


def test_what_members_show_at_the_till_is_theirs_and_varied() -> None:
    visits = plan(count=2_000)

    shown = [(visit.driver, evidence) for visit in visits for evidence in visit.evidence()]

    assert {evidence.kind for _, evidence in shown} == {
        EvidenceKind.PHONE,
        EvidenceKind.CARD,
        EvidenceKind.PAYMENT,
        EvidenceKind.ETC_TAG,
    }
    assert all(
        evidence.value == driver.identities[evidence.kind]
        for driver, evidence in shown
        if evidence.kind is not EvidenceKind.PHONE
    )
    assert plan(count=50)[-1].evidence() == visits[49].evidence()


def test_now_and_then_a_phone_is_typed_with_one_digit_wrong() -> None:
    typed = [
        (visit.driver.identities[EvidenceKind.PHONE], evidence.value)
        for visit in plan(count=2_000)
        for evidence in visit.evidence()
        if evidence.kind is EvidenceKind.PHONE
    ]

    wrong = [(meant, value) for meant, value in typed if meant != value]

    assert 0.02 < len(wrong) / len(typed) < 0.12
    for meant, value in wrong:
        assert sum(one != two for one, two in zip(meant, value, strict=True)) == 1
        assert value[:2] == meant[:2]


def test_everybody_takes_their_own_grade_and_no_more_than_the_tank_holds() -> None:
    for visit in plan(count=500):
        assert OFFERS[visit.nozzle].grade == visit.driver.grade
        assert 0 <= visit.volume_ml <= visit.driver.tank_ml
        assert visit.volume_ml % 10 == 0


def test_visits_come_in_order_and_at_the_stated_rate() -> None:
    arrivals_ms = [
        visit.arrives_at_ms for visit in plan(count=400, habits=Habits(arrivals_per_hour=60))
    ]

    assert arrivals_ms == sorted(arrivals_ms)
    assert 5.5 < arrivals_ms[-1] / 3_600_000 < 8


def test_drivers_who_would_wait_too_long_drive_on() -> None:
    habits = Habits(arrivals_per_hour=3_000, patience_minutes=5)
    visits = plan(count=300, habits=habits)

    free_at_ms = dict.fromkeys(OFFERS, 0)
    for visit in visits:
        waits_ms = max(0, free_at_ms[visit.nozzle] - visit.arrives_at_ms)
        assert waits_ms <= 5 * 60_000
        volume_ml = visit.volume_ml
        if visit.preset_fen is not None:
            price = OFFERS[visit.nozzle].unit_price_milli_per_litre
            volume_ml = min(volume_ml, volume_ml_for(visit.preset_fen, price, 10))
        busy_ms = habits.flow.duration_ms(volume_ml) + visit.walks_ms + visit.dawdles_ms
        free_at_ms[visit.nozzle] = visit.arrives_at_ms + waits_ms + busy_ms + visit.leaves_ms


def test_regulars_come_most_of_the_time() -> None:
    visits = plan(count=500, habits=Habits(strangers_percent=10))

    at_home = sum(visit.driver.usual_station == "s0001" for visit in visits)

    assert 420 < at_home < 480


def test_some_lift_the_nozzle_and_hang_it_up_again() -> None:
    visits = plan(count=500, habits=Habits(zero_sales_percent=20))

    assert 60 < sum(visit.volume_ml == 0 for visit in visits) < 140


def test_a_station_nobody_wants_anything_from_is_an_error() -> None:
    drivers: list[Driver] = []

    with pytest.raises(ValueError, match="92"):
        next(
            plan_visits(seed=1, station_id="s0001", drivers=drivers, offers=OFFERS, habits=Habits())
        )
