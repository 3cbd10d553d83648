"""The pace of polling that the component ships with: soon enough for a sale, little for a pump."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from forecourt_edge.bus import Bus
from forecourt_edge.config import EdgeConfig
from forecourt_edge.profile import load_profile
from tests.edge.stations import PROFILES, controller_for, running

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED_SECONDS = EdgeConfig.model_fields["poll_interval_seconds"].default
HANG_UP_TO_BALANCE_SECONDS = 1.0
NOZZLES = 64


def test_waiting_to_be_polled_takes_a_fifth_of_the_way_to_the_balance_at_most() -> None:
    assert SHIPPED_SECONDS <= HANG_UP_TO_BALANCE_SECONDS / 5


@pytest.mark.parametrize("name", PROFILES)
def test_the_controllers_of_64_nozzles_are_asked_thirty_times_a_second_at_most(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = load_profile(name)
    asked: list[int] = []
    read = Bus.read

    async def counted(bus: Bus, device_id: int, address: int, count: int) -> list[int]:
        asked.append(address)
        return await read(bus, device_id, address, count)

    async def story() -> None:
        controller = controller_for(nozzles=profile.max_nozzles, profile=profile)
        async with running(tmp_path, controller) as station:
            await station.settle()
            monkeypatch.setattr(Bus, "read", counted)
            await station.component.poll()

    asyncio.run(story())

    controllers = NOZZLES / profile.max_nozzles
    assert 0 < controllers * len(asked) / SHIPPED_SECONDS <= 30
