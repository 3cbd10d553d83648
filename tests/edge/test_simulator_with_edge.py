"""The simulator against the component it is for: what is sold is what arrives, and nothing else."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.instants import format_instant
from forecourt_edge.component import Component
from forecourt_edge.config import EdgeConfig
from forecourt_edge.profile import load_profile
from forecourt_simulator.cameras import Eyesight
from forecourt_simulator.clock import PacedClock
from forecourt_simulator.controller import Controller, NozzleSetup
from forecourt_simulator.drivers import Habits, draw_drivers
from forecourt_simulator.server import ControllerServer
from forecourt_simulator.station import Station, usual_nozzles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from forecourt_simulator.ring import FinishedSale


class Cloud:
    """An uplink that keeps what it is given and acknowledges it at once."""

    connected = True

    def __init__(self) -> None:
        self.sales: dict[str, dict[str, Any]] = {}
        self.tellings: dict[str, dict[str, Any]] = {}
        self.gaps: list[dict[str, Any]] = []
        self._on_message: Callable[[str, bytes], None] | None = None

    async def start(self, *, subscribe_to: str, on_message: Callable[[str, bytes], None]) -> None:
        self._acks_topic, self._on_message = subscribe_to, on_message

    async def publish(self, topic: str, payload: bytes) -> None:
        document = json.loads(payload)
        kind = document["schema"].partition("/")[0]
        body = document[kind]
        if kind == "sale":
            self.sales[body["sale_id"]] = body
        if kind == "telling":
            self.tellings[body["telling_id"]] = body
        if kind == "gap":
            self.gaps.append(body)
        assert topic.startswith("forecourt/s0001/up/")
        assert self._on_message is not None
        acknowledgement = {"schema": "ack/1", "accepted": [body[f"{kind}_id"]], "refused": []}
        self._on_message(self._acks_topic, json.dumps(acknowledgement).encode())

    async def stop(self) -> None:
        self._on_message = None


def edge_config(tmp_path: Path, wiring: dict[str, Any], **parts: Any) -> EdgeConfig:
    document = {
        "poll_interval_seconds": 0.05,
        "outbox": {"path": str(tmp_path / "outbox.sqlite")},
        "sending": {"rate_per_second": 10_000},
        "uplink": {"kind": "greengrasssdk"},
    }
    return EdgeConfig.model_validate(wiring | document | parts)


def shown(sale: FinishedSale) -> dict[str, Any]:
    """Return what the cloud has to be told of *sale*."""
    return {
        "nozzle": sale.nozzle,
        "transaction": sale.transaction,
        "grade": sale.grade,
        "unit_price_milli_per_litre": sale.unit_price_milli_per_litre,
        "volume_ml": sale.volume_ml,
        "amount_fen": sale.amount_fen,
        "totalizer_ml": sale.totalizer_ml,
        "completed_at": format_instant(sale.completed_at.replace(microsecond=0)),
        "test_delivery": sale.test_delivery,
    }


def test_every_sale_of_a_station_arrives_with_its_plate_and_what_the_till_knew(
    tmp_path: Path,
) -> None:
    cloud = Cloud()
    station = Station(
        station_id="s0001",
        drivers=draw_drivers(seed=7, count=60, stations=["s0001"]),
        nozzles=usual_nozzles(6, seed=7, station_id="s0001"),
        seed=7,
        clock=PacedClock(speed=150),
        habits=Habits(arrivals_per_hour=1_200),
        receipts_percent=60,
    )

    async def scenario() -> None:
        async with asyncio.timeout(40), station:
            config = edge_config(tmp_path, station.wiring(with_cameras=True), listen={"port": 0})
            async with Component(config, uplink=cloud) as component:
                assert component.listener is not None
                station.connect_gateway(
                    f"http://127.0.0.1:{component.listener.port}",
                    eyesight=Eyesight(misread_percent=20, missed_percent=0, repeated_percent=30),
                )
                await station.run(visits=10)
                await station.controller.wait_until_read()
                await component.drained()

    asyncio.run(scenario())

    assert set(cloud.sales) == {truth.sale_id for truth in station.truth}
    assert cloud.gaps == []
    for truth in station.truth:
        told = cloud.sales[truth.sale_id or ""]
        assert {name: told[name] for name in shown(truth.sale)} == shown(truth.sale)
        evidence = {each["kind"]: each["value"] for each in told["evidence"]}
        expected = {each.kind.value: each.value for each in truth.evidence}
        assert evidence == expected | {"plate": truth.plate_read}
    receipts = {each.told_id: each.sale for each in station.receipts}
    assert receipts
    assert {each["told_id"] for each in cloud.tellings.values()} == set(receipts)
    for told in cloud.tellings.values():
        sold = receipts[told["told_id"]]
        assert (told["nozzle"], told["amount_fen"], told["volume_ml"]) == (
            sold.nozzle,
            sold.amount_fen,
            sold.volume_ml,
        )


@pytest.mark.parametrize("profile_name", ["forecourt-controller", "preset-controller-bcd"])
def test_a_replay_at_full_speed_loses_nothing_across_the_wrap(
    tmp_path: Path, profile_name: str
) -> None:
    cloud = Cloud()
    began = datetime(2016, 11, 23, 6, 0, tzinfo=UTC)
    profile = load_profile(profile_name)
    controller = Controller(
        serial="SN4711",
        nozzles=[
            NozzleSetup(grade="92", unit_price_milli_per_litre=7_560, first_transaction=65_500),
            NozzleSetup(grade="95", unit_price_milli_per_litre=8_050),
        ],
        profile=profile,
    )
    sold: list[FinishedSale] = []
    controller.on_sale(sold.append)

    async def replay() -> None:
        for index in range(240):
            number = 1 + index % 2
            await controller.wait_for_room(number)
            controller.dispense(
                number,
                10_000 + profile.volume_resolution_ml * index,
                at=began + timedelta(minutes=7 * index),
            )
        await controller.wait_until_read()

    async def scenario() -> None:
        async with asyncio.timeout(40), ControllerServer(controller) as server:
            wired = {
                "name": "forecourt",
                "host": server.host,
                "port": server.port,
                "profile": profile_name,
                "nozzles": [{"nozzle": number, "position": number} for number in (1, 2)],
            }
            config = edge_config(
                tmp_path,
                {"station_id": "s0001", "controllers": [wired]},
                poll_interval_seconds=0.001,
            )
            async with Component(config, uplink=cloud) as component:
                await replay()
                await component.drained()

    asyncio.run(scenario())

    assert controller.ring(1).overwritten_unread == 0
    assert cloud.gaps == []
    told = sorted(cloud.sales.values(), key=lambda sale: sale["completed_at"])
    assert [{name: each[name] for name in shown(sold[0])} for each in told] == [
        shown(sale) for sale in sold
    ]
