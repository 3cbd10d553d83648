"""What the gateway lets a pump do, and up to which preset."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from forecourt_simulator.nozzle import NozzleState
from tests.edge.stations import config_for, controller_for, running

if TYPE_CHECKING:
    from pathlib import Path


def test_who_calls_is_authorised_where_the_station_wants_it(tmp_path: Path) -> None:
    async def story() -> None:
        controller = controller_for(auto_authorise=False)
        async with running(
            tmp_path,
            controller,
            configure=lambda port: config_for(tmp_path, port, authorise_calls=True),
        ) as station:
            await station.settle()
            controller.lift(1)
            await station.component.poll()

            assert controller.nozzle(1).state is NozzleState.STARTED

    asyncio.run(story())


def test_a_preset_is_kept_by_the_pump(tmp_path: Path) -> None:
    async def story() -> None:
        controller = controller_for(auto_authorise=False)
        async with running(tmp_path, controller) as station:
            await station.settle()
            await station.component.poller.authorise(1, preset_fen=20_000)

            assert controller.nozzle(1).state is NozzleState.AUTHORISED
            preset_ml = controller.nozzle(1).preset_ml
            assert preset_ml is not None
            assert preset_ml * 7560 <= 20_000 * 10_000 + 5_000

    asyncio.run(story())
