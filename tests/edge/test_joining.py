"""Which of the plates seen at a nozzle is the car's whose sale it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from forecourt_edge.joining import Sighting, better_read, join, same_read, tidy_plate
from tests.edge.pushes import OTHER, PLATE
from tests.edge.stations import config_for

if TYPE_CHECKING:
    from pathlib import Path

    from forecourt_edge.config import JoiningConfig


@pytest.mark.parametrize(
    ("text", "plate"),
    [
        ("浙A12345", "浙A12345"),
        ("蓝浙A12345", "浙A12345"),
        ("黄绿浙AD12345", "浙AD12345"),
        ("黑A12345", "黑A12345"),
        ("黑黑A12345", "黑A12345"),
        (" 浙A·12345 ", "浙A12345"),
        ("浙a１２３４５", "浙A12345"),
        ("_无_", None),
        ("无车牌", None),
        ("unknown", None),
        ("", None),
        ("浙", None),
        ("浙A12345678901", None),
        ("<script>", None),
    ],
)
def test_a_plate_is_tidied(text: str, plate: str | None) -> None:
    assert tidy_plate(text) == plate


@pytest.mark.parametrize(
    ("second", "same"),
    [
        ("浙A12345", True),
        ("浙A12346", True),
        ("浙A1234", True),
        ("浙A123456", True),
        ("浙A12356", False),
        ("浙A54321", False),
        ("浙A123", False),
    ],
)
def test_reads_are_the_same_car_up_to_one_character(second: str, same: bool) -> None:  # noqa: FBT001
    assert same_read(PLATE, second) is same
    assert same_read(second, PLATE) is same


def seen(number: int, value: str, at: float, **changes: Any) -> Sighting:
    values: dict[str, Any] = {
        "sighting_id": number,
        "camera": "camera-1",
        "kind": "plate",
        "value": value,
        "confidence": 95,
        "nozzles": (1,),
        "seen_at": at,
        **changes,
    }
    return Sighting(**values)


@pytest.fixture
def joining(tmp_path: Path) -> JoiningConfig:
    return config_for(tmp_path, 5020).joining


def plates_of(
    sightings: list[Sighting], joining: JoiningConfig, *, lifted: float | None = 1_000
) -> list[tuple[str, int | None]]:
    joined = join(sightings, nozzle=1, lifted_at=lifted, completed_at=1_100, config=joining)
    return [(each.value, each.confidence) for each in joined.sightings]


def test_the_last_plate_before_the_lift_is_the_cars(joining: JoiningConfig) -> None:
    sightings = [seen(1, OTHER, 900), seen(2, PLATE, 990), seen(3, "京C11111", 1_050)]

    assert plates_of(sightings, joining) == [(PLATE, 95)]


def test_a_plate_seen_only_while_fuelling_is_better_than_none(joining: JoiningConfig) -> None:
    assert plates_of([seen(1, PLATE, 1_060)], joining) == [(PLATE, 95)]


def test_a_plate_seen_after_the_hang_up_is_the_next_car(joining: JoiningConfig) -> None:
    assert plates_of([seen(1, PLATE, 1_102)], joining) == []


def test_a_plate_of_long_ago_is_nobodys(joining: JoiningConfig) -> None:
    assert plates_of([seen(1, PLATE, 90)], joining) == []


def test_a_plate_another_sale_took_lately_is_another_car(joining: JoiningConfig) -> None:
    used = seen(1, PLATE, 700, used_at=800.0)
    sightings = [used, seen(2, PLATE, 990)]

    assert plates_of(sightings, joining) == []


def test_a_car_that_comes_back_after_the_pause_is_served_again(joining: JoiningConfig) -> None:
    used = seen(1, PLATE, 300, used_at=499.0)
    sightings = [used, seen(2, PLATE, 990)]

    assert plates_of(sightings, joining) == [(PLATE, 95)]


def test_a_plate_at_another_nozzle_is_not_looked_at(joining: JoiningConfig) -> None:
    assert plates_of([seen(1, PLATE, 990, nozzles=(2,))], joining) == []


def test_two_cars_under_one_camera_make_the_plate_doubtful(joining: JoiningConfig) -> None:
    sightings = [seen(1, OTHER, 980, nozzles=(1, 2)), seen(2, PLATE, 990, nozzles=(1, 2))]

    assert plates_of(sightings, joining) == [(PLATE, 50)]


def test_without_a_time_of_lift_the_last_plate_counts(joining: JoiningConfig) -> None:
    assert plates_of([seen(1, OTHER, 900), seen(2, PLATE, 1_050)], joining, lifted=None) == [
        (PLATE, 95)
    ]


def test_a_valid_plate_beats_a_surer_one_that_cannot_be(joining: JoiningConfig) -> None:
    del joining
    assert better_read(seen(1, "浙AI2345", 0, confidence=99), "浙A12345", 60)
    assert not better_read(seen(1, "浙A12345", 0, confidence=60), "浙AI2345", 99)
