"""Stations, and the cases opened about their days: which change is news, and what is kept."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from forecourt.reconciliation import Finding, FindingKind
from forecourt.stations_table import FINDINGS_LISTED, StationsTable
from tests.functional.clients import Paging
from tests.functional.conftest import LOYALTY_TABLE

if TYPE_CHECKING:
    from tests.functional.world import World

AT = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
DAY = date(2026, 11, 22)


def test_a_station_is_found_by_its_id(world: World) -> None:
    station = world.register()

    assert world.stations.station("s0001") == station
    assert world.stations.station("s0002") is None


def test_all_stations_are_found_however_many(world: World) -> None:
    registered = [world.register(f"s{number:04}") for number in range(3)]

    assert world.stations.stations() == registered


def test_stations_beyond_the_first_page_are_found(world: World) -> None:
    registered = [world.register(f"s{number:04}") for number in range(3)]

    paged = StationsTable(Paging(world.dynamodb, page=1), name=LOYALTY_TABLE)

    assert paged.stations() == registered


def finding(number: int = 1) -> Finding:
    return Finding(kind=FindingKind.SALE_NOT_JUDGED, facts={"sale_id": f"sale-{number}"})


def cases(world: World) -> list[dict[str, Any]]:
    return [item for item in world.items(LOYALTY_TABLE) if item["type"] == "case"]


def test_a_case_is_kept_with_the_time_it_was_opened(world: World) -> None:
    for hour in range(2):
        opened_at = AT + timedelta(hours=hour)
        news = world.stations.keep_case("s0001", DAY, findings=[finding()], opened_at=opened_at)
        assert news is (hour == 0)

    (case,) = cases(world)
    assert case["findings"] == [{"kind": "sale_not_judged", "sale_id": "sale-1"}]
    assert (case["findings_total"], case["opened_at"]) == (1, "2026-11-23T08:15:00Z")


def test_other_findings_open_the_case_anew(world: World) -> None:
    world.stations.keep_case("s0001", DAY, findings=[finding(1)], opened_at=AT)

    later = AT + timedelta(hours=1)
    assert world.stations.keep_case("s0001", DAY, findings=[finding(2)], opened_at=later)

    assert [case["opened_at"] for case in cases(world)] == ["2026-11-23T09:15:00Z"]


def test_a_day_that_agrees_again_loses_its_case(world: World) -> None:
    world.stations.keep_case("s0001", DAY, findings=[finding()], opened_at=AT)

    assert not world.stations.keep_case("s0001", DAY, findings=[], opened_at=AT)
    assert not world.stations.keep_case("s0001", DAY, findings=[], opened_at=AT)

    assert cases(world) == []


def test_of_very_many_findings_the_first_are_listed_and_all_are_counted(world: World) -> None:
    findings = [finding(number) for number in range(10_000)]
    world.stations.keep_case("s0001", DAY, findings=findings, opened_at=AT)

    one_more = [*findings, finding(10_000)]
    world.stations.keep_case("s0001", DAY, findings=one_more, opened_at=AT + timedelta(hours=1))

    (case,) = cases(world)
    assert len(case["findings"]) == FINDINGS_LISTED
    assert (case["findings_total"], case["opened_at"]) == (10_001, "2026-11-23T09:15:00Z")
