"""Nothing is lost and nothing counted twice, whatever breaks."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from forecourt.arrivals import Arrivals
from forecourt.attributes import to_item
from forecourt.ledger.daybook import day_of
from infra.local.following import Following, cancelled
from infra.local.gateway import Gateway
from infra.local.scene import Scene
from infra.local.tally import read_books, tally
from tests.e2e.redelivery import Redelivery
from tests.e2e.relay import Relay
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecourt_simulator.station import Station
    from infra.local.stack import LocalStack
    from infra.local.tally import Books, Tally

SALES = int(os.environ.get("CHAOS_SALES", "300"))
SEED = int(os.environ.get("CHAOS_SEED", "7"))
SPEED = 150.0
ARRIVALS_PER_HOUR = 600
# What is killed or cut off says much of it again, and all of that is worked off as well.
DRAINS_WITHIN_SECONDS = 240.0 + SALES / 2
TELL_EVERY_SECONDS = 10.0


@dataclass(slots=True)
class Havoc:
    """How often each thing broke."""

    kills: int = 0
    uplinks_cut: int = 0
    pumps_cut: int = 0
    redelivered: int = 0


class ChaoticScene(Scene):
    """A scene whose lines lead through relays and whose gateways say things twice."""

    to_cloud: dict[str, Relay]
    to_pumps: dict[str, Relay]

    async def gateway_of(self, station: Station) -> Gateway:
        name = station.station_id
        enter = self.resources.enter_async_context
        self.to_cloud[name] = await enter(Relay(self.stack.mqtt_port))
        self.to_pumps[name] = await enter(Relay(station.port))
        return Gateway(
            self.configuration(station),
            folder=self.stack.folder,
            command=("-m", "tests.e2e.doubling_gateway"),
        )

    def configuration(self, station: Station) -> dict[str, Any]:
        configuration = super().configuration(station)
        name = station.station_id
        configuration["controllers"][0]["port"] = self.to_pumps[name].port
        configuration["device_timeout_seconds"] = 0.5
        configuration["device_back_off_seconds_max"] = 0.5
        configuration["sending"] = {"acknowledgement_seconds": 15, "resend_seconds_max": 60}
        configuration["uplink"] |= {"port": self.to_cloud[name].port, "reconnect_seconds_max": 1}
        return configuration


def test_no_sale_is_lost_or_doubled_while_everything_breaks(stack: LocalStack) -> None:
    result, havoc = asyncio.run(_run(stack))

    assert not result.faults, "\n".join(result.faults)
    assert havoc.kills > 0
    assert havoc.uplinks_cut > 0
    assert havoc.pumps_cut > 0
    assert havoc.redelivered > 0


async def _run(stack: LocalStack) -> tuple[Tally, Havoc]:
    scene = ChaoticScene(stack, speed=SPEED, arrivals_per_hour=ARRIVALS_PER_HOUR, seed=SEED)
    scene.to_cloud, scene.to_pumps = {}, {}
    following = Following(stack, every_seconds=0.2)
    havoc = Havoc()
    async with scene:
        for station in scene.stations:
            station.on_sale(following.follow)
        looking = asyncio.create_task(following.run())
        breaking = asyncio.create_task(_break_things(scene, havoc))
        telling = asyncio.create_task(_tell(following, havoc))
        try:
            await scene.run(sales=SALES)
            for station in scene.stations:
                await station.controller.wait_until_read()
        finally:
            await cancelled(breaking)
        for gateway in scene.gateways:
            if not gateway.running:
                gateway.start()
        drained = await following.drained(within_seconds=DRAINS_WITHIN_SECONDS)
        await asyncio.to_thread(_wait_for_receipts, scene)
        await cancelled(telling)
        await cancelled(looking)
        truths = [truth for station in scene.stations for truth in station.truth]
        books = await asyncio.to_thread(read_books, stack)
        result = tally(scene.stations, truths, books)
        result.faults += _wrong_tellings(scene.stations, books)
        result.faults += await asyncio.to_thread(_wrongly_archived, stack, books)
        if not drained:
            result.faults.append(f"{following.pending} sales never settled")
    return result, havoc


def _wait_for_receipts(scene: Scene) -> None:
    """Return once all receipts are told and have been looked for: they go behind the sales."""
    dynamodb, table = scene.stack.client("dynamodb"), scene.stack.outputs["SalesTableName"]

    def told(station: Station) -> int:
        count: int = dynamodb.query(
            TableName=table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :telling)",
            FilterExpression="attribute_exists(sale_id) OR attribute_exists(#queue)",
            ExpressionAttributeNames={"#queue": "queue"},
            ExpressionAttributeValues=to_item(
                {":pk": f"STATION#{station.station_id}", ":telling": "TELLING#"}
            ),
            ConsistentRead=True,
            Select="COUNT",
        )["Count"]
        return count

    wait_for(
        lambda: all(told(each) >= len(each.receipts) for each in scene.stations),
        within_seconds=DRAINS_WITHIN_SECONDS,
    )


def _wrong_tellings(stations: Sequence[Station], books: Books) -> list[str]:
    """Every receipt that a gateway took is told once, and joined no sale but one like it."""
    printed = {
        (station.station_id, receipt.told_id): receipt.sale
        for station in stations
        for receipt in station.receipts
    }
    told = [(each.telling.station_id, each.telling.told_id) for each in books.tellings]
    faults = [f"never told: {each}" for each in printed.keys() - set(told)]
    faults += [f"told {n} times: {each}" for each, n in Counter(told).items() if n > 1]
    faults += [f"invented: {each}" for each in set(told) - printed.keys()]
    for stored in books.tellings:
        telling, joined = stored.telling, books.sales.get(stored.sale_id or "")
        if joined is None:
            if not stored.queued:
                faults.append(f"neither joined nor queued: {stored.telling_id}")
            continue
        sale = joined.sale
        figures = (sale.key.nozzle, sale.amount_fen, sale.volume_ml)
        if figures != (telling.nozzle, telling.amount_fen, telling.volume_ml):
            faults.append(f"joined another sale: {stored.telling_id}")
    if not any(each.sale_id for each in books.tellings):
        faults.append("no telling joined a sale")
    return faults


def _wrongly_archived(stack: LocalStack, books: Books) -> list[str]:
    """Say which sales earned what the archive has otherwise, however often it came there."""
    arrivals = Arrivals(stack.client("s3"), bucket=stack.outputs["WorkingsBucketName"])
    earned = [each for each in books.entries if each.entry_id in books.sales]
    posted = {(each.member_id, each.entry_id): each.digest for each in earned}

    def kept() -> dict[tuple[str, str], str]:
        days = {day_of(entry) for entry in earned}
        found = [each for day in days for each in arrivals.of(day)]
        return {(each.content[0], each.content[1]): each.digest for each in found}

    wait_for(lambda: posted.keys() <= kept().keys(), within_seconds=DRAINS_WITHIN_SECONDS)
    archived = kept()
    return [f"archived otherwise: {each}" for each in posted if archived[each] != posted[each]]


async def _tell(following: Following, havoc: Havoc) -> None:
    """Say how far it is, for a person who waits (`make chaos`)."""
    while True:
        await asyncio.sleep(TELL_EVERY_SECONDS)
        settled = len(following.settled)
        sys.stdout.write(
            f"{settled + following.pending:,} of {SALES:,} sold, {settled:,} settled;"
            f" {havoc.kills} gateways killed, {havoc.uplinks_cut + havoc.pumps_cut} lines cut,"
            f" {havoc.redelivered:,} records delivered again\n"
        )
        sys.stdout.flush()


async def _break_things(scene: ChaoticScene, havoc: Havoc) -> None:
    """Break one thing after the other, at random, until cancelled."""
    rng = random.Random(SEED)
    redelivery = await asyncio.to_thread(Redelivery, scene.stack, seed=SEED)
    names = [station.station_id for station in scene.stations]
    while True:
        await asyncio.sleep(rng.uniform(0.1, 0.6))
        match rng.choice(("kill", "cloud", "cloud", "pumps", "pumps", "again", "again", "again")):
            case "kill":
                gateway = rng.choice(scene.gateways)
                await asyncio.to_thread(gateway.kill)
                havoc.kills += 1
                await asyncio.sleep(rng.uniform(0, 1))
                gateway.start()
            case "cloud":
                scene.to_cloud[rng.choice(names)].cut()
                havoc.uplinks_cut += 1
            case "pumps":
                scene.to_pumps[rng.choice(names)].cut()
                havoc.pumps_cut += 1
            case "again":
                await asyncio.to_thread(redelivery.again)
                havoc.redelivered = redelivery.delivered
