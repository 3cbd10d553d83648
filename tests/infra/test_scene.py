"""The chain of stations that is shown and measured is built like one that ships."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from forecourt_edge.config import EdgeConfig
from infra.local.scene import Scene
from infra.local.seed import Credentials
from tests.bench.latency import Run, Rush

if TYPE_CHECKING:
    from pathlib import Path

BEGAN = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)


def stack(folder: Path) -> Any:
    """Return what a scene asks of a local stack before it talks to it."""
    return SimpleNamespace(
        api_url="http://127.0.0.1:1",
        token=lambda _: "token",
        folder=folder,
        mqtt_host="127.0.0.1",
        mqtt_port=8883,
        ca_pem_path=folder / "ca.pem",
    )


@pytest.mark.parametrize("kind", [Scene, Rush])
def test_gateways_poll_at_the_pace_they_ship_with(tmp_path: Path, kind: type[Scene]) -> None:
    async def story() -> list[EdgeConfig]:
        scene = kind(cast("Any", stack(tmp_path)), speed=1)
        documents = []
        for station in scene.stations:
            scene.credentials[station.station_id] = Credentials(
                certificate_path=tmp_path / "crt.pem", key_path=tmp_path / "key.pem"
            )
            async with station:
                documents.append(scene.configuration(station))
        return [EdgeConfig.model_validate(each) for each in documents]

    shipped = EdgeConfig.model_fields["poll_interval_seconds"].default

    configured = asyncio.run(story())

    assert [each.poll_interval_seconds for each in configured] == [shipped, shipped]


@pytest.mark.parametrize(
    ("every_seconds", "reached"), [(0.025, 40.0), (0.05, 20.0), (0.04, 25.0), (1.0, 1.0)]
)
def test_a_run_tells_the_rate_it_reached_beside_the_latencies(
    every_seconds: float, reached: float
) -> None:
    run = Run(
        hung_up_at=[BEGAN + number * timedelta(seconds=every_seconds) for number in range(101)],
        seconds=[number / 1000 for number in range(101)],
    )

    assert run.figures("at_40") == {
        "latency.at_40.p50_ms": 50.0,
        "latency.at_40.p95_ms": 95.0,
        "latency.at_40.p99_ms": 99.0,
        "latency.at_40.reached_per_second": reached,
    }
