"""
`make replay`: real purchases instead of invented ones.

Each store becomes a station and each household a member with a plate and a card. Every fill
passes the camera, goes through a pump's registers, over MQTT and through the whole pipeline,
at full speed and with business times as recorded. Afterwards litres, money, fills and points per
household, station and month are compared with the same sums, taken by SQL from the files.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from forecourt_edge.component import Component
from forecourt_edge.config import EdgeConfig
from forecourt_edge.profile import load_profile
from forecourt_simulator.cameras import Camera, Eyesight
from forecourt_simulator.controller import Controller, NozzleSetup
from forecourt_simulator.plates import draw_plate
from forecourt_simulator.server import ControllerServer
from infra.local.api_client import ApiClient
from infra.local.errors import LocalStackError, StationNotHeard
from infra.local.gateway import mqtt_uplink
from infra.local.purchases import ZONE, Booked, Fill, Purchases
from infra.local.seed import activate_program, enrol, register_station
from infra.local.stack import LocalStack
from infra.local.tally import read_books

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.progress import TaskID

    from infra.local.seed import Credentials
    from infra.local.tally import Books

GRADE = "regular"
BEGAN = datetime(2016, 1, 1, tzinfo=UTC)
PROGRAM = {
    "zone": ZONE,
    "validity": None,
    "rules": [
        {
            "rule_id": "regular",
            "grades": [GRADE],
            "basis": "volume",
            "points": 10,
            "per": 1000,
            "minimum": 0,
            "rounding": "floor",
        }
    ],
}
PROVINCE = "浙"
NOZZLE = 1
LANE = 1
LOOKING_SHARE = 0.25  # of the time; every look reads both tables, which the stack has to answer
TELLS = 10  # times in all, where there is no terminal to draw a bar on
AT_ONCE = 2  # each more is one more cold start of the API on a small machine
# A station holds nine files and sockets, and paho's `select` can watch none beyond the 1,024th.
STATIONS_AT_ONCE = 40
SILENT_FOR_SECONDS = 300.0
SETTLES_WITHIN_SECONDS = 300.0
CLEAR_SIGHT = Eyesight(missed_percent=0, misread_percent=0, repeated_percent=0, zone=ZONE)
FAULTY = 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make replay", description="Replay real petrol fills.")
    parser.add_argument("--fills", type=int, help="only the first so many")
    options = parser.parse_args(arguments)
    if options.fills is not None and options.fills <= 0:
        parser.error("--fills must be positive")
    console = Console(highlight=False)
    began = time.monotonic()

    def say(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:5.1f} s[/]  {line}")

    purchases = Purchases(limit=options.fills)
    fills, households, stores, volume_ml, amount_fen = purchases.totals()
    say(f"{fills:,} fills of {households:,} households at {stores} stores")
    try:
        with LocalStack(say=say) as stack:
            replay = Replay(stack, purchases.fills(), say=say, console=console)
            books = asyncio.run(replay.run())
            differences = purchases.differences(replay.booked(books))
    except LocalStackError as error:
        console.print(str(error), style="red", markup=False)
        return FAULTY
    except KeyboardInterrupt:
        console.print("Interrupted; every process has been stopped.")
        return FAULTY
    for row in differences[:20]:
        console.print(row, style="red")
    if differences or len(books.sales) != fills:
        console.print(
            f"{len(differences)} sums differ; {len(books.sales)} of {fills} fills arrived",
            style="red",
        )
        return FAULTY
    points = sum(entry.points for entry in books.entries)
    say(
        f"Equal to the millilitre and the cent: {fills:,} fills, {volume_ml:,} ml, "
        f"{amount_fen:,} cents, {points:,} points"
    )
    return 0


class BusinessTime:
    """A clock that shows the time of the fill at hand."""

    def __init__(self) -> None:
        self.now_at = BEGAN

    def now(self) -> datetime:
        return self.now_at

    def running_ms(self) -> int:
        return int((self.now_at - BEGAN) / timedelta(milliseconds=1))

    async def sleep_ms(self, duration_ms: int) -> None:
        self.now_at += timedelta(milliseconds=duration_ms)


class Replay:
    """All stations of *fills* in this process; the platform is *stack*."""

    def __init__(
        self,
        stack: LocalStack,
        fills: Sequence[Fill],
        *,
        say: Callable[[str], None],
        console: Console,
    ) -> None:
        self._stack = stack
        self._say = say
        self._console = console
        self._by_store: dict[int, list[Fill]] = defaultdict(list)
        for fill in fills:
            self._by_store[fill.store].append(fill)
        rng = Random(84_51)  # noqa: S311 - plates, not secrets
        self._plates: dict[int, str] = {}
        taken: set[str] = set()
        for household in sorted({fill.household for fill in fills}):
            plate = next(
                new
                for new in iter(lambda: draw_plate(rng, province=PROVINCE), None)
                if new not in taken
            )
            taken.add(plate)
            self._plates[household] = plate
        self._households: dict[str, int] = {}
        self._credentials: dict[str, Credentials] = {}
        self._profile_path = stack.folder / "replay-controller.json"
        self._profile_path.write_text(json.dumps(_profile_to_the_millilitre()), "utf-8")

    async def run(self) -> Books:
        """Seed, replay, wait until all is settled, and read the books."""
        await asyncio.to_thread(self._seed)
        total = sum(map(len, self._by_store.values()))
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
        ) as progress:
            filled = progress.add_task("filled", total=total)
            places = asyncio.Semaphore(STATIONS_AT_ONCE)
            # The busiest begin, so that no long one is left for the end.
            by_length = sorted(self._by_store.items(), key=lambda each: -len(each[1]))
            try:
                async with asyncio.TaskGroup() as stations:
                    for store, fills in by_length:
                        stations.create_task(
                            self._station(
                                store, fills, places, lambda: self._advance(progress, filled)
                            )
                        )
            except ExceptionGroup as failures:
                # The first one ended all others; they have nothing to add.
                raise failures.exceptions[0] from failures
            return await self._settled(total, progress)

    def _advance(self, progress: Progress, filled: TaskID) -> None:
        progress.advance(filled)
        done, total = int(progress.tasks[filled].completed), int(progress.tasks[filled].total or 0)
        if not self._console.is_terminal and done % max(1, total // TELLS) == 0:
            self._say(f"  {done:,} of {total:,} filled")

    def booked(self, books: Books) -> list[Booked]:
        """Return what the platform made of each fill that found its member."""
        points = {entry.entry_id: entry.points for entry in books.entries}
        return [
            Booked(
                household=self._households[stored.member_id],
                store=int(stored.sale.key.station_id.removeprefix("store-")),
                filled_at=stored.sale.key.completed_at,
                volume_ml=stored.sale.volume_ml,
                amount_fen=stored.sale.amount_fen,
                points=points.get(sale_id, 0),
            )
            for sale_id, stored in books.sales.items()
            if stored.member_id is not None
        ]

    def _seed(self) -> None:
        operator = ApiClient(self._stack.api_url, self._stack.token("operator"))
        activate_program(operator, PROGRAM, effective_at=BEGAN)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            stores = list(self._by_store)
            registered = pool.map(lambda store: self._register(operator, store), stores)
            self._credentials = dict(zip(map(_station_id, stores), registered, strict=True))
            self._say(f"{len(stores)} stations registered")
            households = list(self._plates)
            enrolled = pool.map(
                lambda household: enrol(
                    operator,
                    {"plate": self._plates[household], "card": _card_of(household)},
                    name=f"Household {household}",
                ),
                households,
            )
            self._households = dict(zip(enrolled, households, strict=True))
            self._say(f"{len(households):,} members enrolled")

    def _register(self, operator: ApiClient, store: int) -> Credentials:
        return register_station(
            operator,
            station_id=_station_id(store),
            name=f"Store {store}",
            zone=ZONE,
            grades=[GRADE],
            open_since=BEGAN,
            folder=self._stack.folder,
        )

    async def _station(
        self,
        store: int,
        fills: Sequence[Fill],
        places: asyncio.Semaphore,
        filled: Callable[[], object],
    ) -> None:
        """Open one station when there is room, and let its fills happen, one after the other."""
        async with places, AsyncExitStack() as resources:
            await self._sell(store, fills, resources, filled)

    async def _sell(
        self,
        store: int,
        fills: Sequence[Fill],
        resources: AsyncExitStack,
        filled: Callable[[], object],
    ) -> None:
        clock = BusinessTime()
        controller = Controller(
            serial=f"STORE-{store}",
            nozzles=[NozzleSetup(grade=GRADE, unit_price_milli_per_litre=600)],
            profile=load_profile(self._profile_path),
            clock=clock,
        )
        server = ControllerServer(controller)
        await server.start()
        resources.push_async_callback(server.stop)
        component = Component(
            EdgeConfig.model_validate(self._configuration(store, server.port)),
            now=clock.now,
            clock_synchronised=lambda: True,
            poll=False,
        )
        await resources.enter_async_context(component)
        if component.listener is None:
            raise RuntimeError("the component does not listen")
        camera = Camera(
            name="island",
            url=f"http://127.0.0.1:{component.listener.port}",
            lanes={LANE: NOZZLE},
            eyesight=CLEAR_SIGHT,
        )
        await component.poll()
        for number, fill in enumerate(fills):
            clock.now_at = fill.filled_at
            seen = camera.look(
                self._plates[fill.household], nozzle=NOZZLE, at=fill.filled_at, occasion=number
            )
            if seen is not None:
                await camera.push(seen)
            controller.dispense(
                NOZZLE,
                fill.volume_ml,
                amount_fen=fill.amount_fen,
                unit_price_milli_per_litre=fill.unit_price_milli_per_litre,
                at=fill.filled_at,
                card=_card_of(fill.household),
            )
            await component.poll()
            filled()
        await controller.wait_until_read()
        await _drained(component, station_id=_station_id(store))

    def _configuration(self, store: int, modbus_port: int) -> dict[str, Any]:
        station_id = _station_id(store)
        return {
            "station_id": station_id,
            "time_zone": ZONE,
            "controllers": [
                {
                    "name": "forecourt",
                    "host": "127.0.0.1",
                    "port": modbus_port,
                    "profile": str(self._profile_path),
                    "nozzles": [{"nozzle": NOZZLE, "position": 1}],
                }
            ],
            "cameras": [{"name": "island", "nozzles": [NOZZLE], "lanes": {str(LANE): [NOZZLE]}}],
            "listen": {"host": "127.0.0.1", "port": 0},
            # A household may fill twice within minutes, and does.
            "joining": {"reuse_pause_seconds": 0, "duplicate_seconds": 0},
            "outbox": {"path": str(self._stack.folder / f"{station_id}.outbox")},
            "readings": {"interval_seconds": None, "day_turn": False},
            # A year in minutes keeps the cloud behind for minutes; nothing is lost on the way,
            # so saying it again would only make the queue longer.
            "sending": {"acknowledgement_seconds": 1800, "in_flight_max": 50},
            "uplink": mqtt_uplink(self._stack, self._credentials[station_id]),
        }

    async def _settled(self, total: int, progress: Progress) -> Books:
        """Wait until as many sales are judged as were filled, or nothing moves any more."""
        task = progress.add_task("judged", total=total)
        judged, moved_at = -1, time.monotonic()
        while True:
            began = time.monotonic()
            books = await asyncio.to_thread(read_books, self._stack)
            took = time.monotonic() - began
            now_judged = len(books.entries) + len(books.evaluations)
            progress.update(task, completed=now_judged)
            if now_judged > judged:
                judged, moved_at = now_judged, time.monotonic()
                if not self._console.is_terminal:
                    self._say(f"  {judged:,} of {total:,} judged")
            if judged >= total or time.monotonic() - moved_at > SETTLES_WITHIN_SECONDS:
                # Once more: these books were read while sales still moved from page to page.
                return await asyncio.to_thread(read_books, self._stack)
            await asyncio.sleep(max(2.0, took / LOOKING_SHARE - took))


async def _drained(component: Component, *, station_id: str) -> None:
    """Wait until all is acknowledged; raise `StationNotHeard` when nothing more is."""
    while waiting := component.outbox.count():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SILENT_FOR_SECONDS):
                await component.drained()
        if component.outbox.count() == waiting:
            raise StationNotHeard(station_id=station_id, waiting=waiting)


def _card_of(household: int) -> str:
    """Return the card a household shows at the pump: a plate alone may have been lent."""
    return f"9{household:015}"


def _profile_to_the_millilitre() -> dict[str, Any]:
    """Return the usual controller with a third decimal, since the files have one."""
    folder = Path(sys.modules[load_profile.__module__].__file__ or "").parent / "profiles"
    document: dict[str, Any] = json.loads((folder / "forecourt-controller.json").read_text("utf-8"))
    document["name"] = "replay-controller"
    document["grades"] = {"1": GRADE}
    document["status"]["totalizer"]["scale"] = "0.001"
    document["ring"]["record"]["totalizer"]["scale"] = "0.001"
    document["ring"]["record"]["volume"]["scale"] = "0.001"
    return document


def _station_id(store: int) -> str:
    return f"store-{store}"


if __name__ == "__main__":
    sys.exit(main())
