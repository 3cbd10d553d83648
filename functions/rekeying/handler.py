"""
Hash anew what the tables hold, as the ring of identity keys says.

An operator's command starts a run: the two tables are walked in segments, side by side, each by
invocations that start the next one when their time is up. How far a segment is, is written down
after every page, so one that died goes on where it was, and whoever comes second at the same
segment stops. What cannot be hashed anew is counted and stays; the rest goes on.

`{}` tells how far it is, `{"do": "start"}` starts what is not done, and with `"anew": true` walks
by everything once more.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from forecourt.keyring import KeyRing
from forecourt.rekeyed_identities import RekeyedIdentities
from forecourt.rekeyed_sales import RekeyedSales
from forecourt.rekeying import Outcome, Place, seconds_to_settle
from forecourt.rekeying_table import RekeyingTable
from forecourt.sealing import Sealer
from forecourt.settings import Settings
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from forecourt.attributes import Item
    from forecourt.rekeying import Progress, Segment

PAGE = 50
# For one more page, if all of it were cars that as many members share as may.
ENOUGH_MILLISECONDS = 180_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RekeyingSettings(Settings):
    sales_table: str
    loyalty_table: str
    identity_secret_id: str
    ring_remembered_seconds: str
    seal_key_id: str


settings = RekeyingSettings.from_env()
logger = Logger()
metrics = Metrics()

_dynamodb = boto3.client("dynamodb")
sealer = Sealer(boto3.client("kms"), key_id=settings.seal_key_id)
table = RekeyingTable(
    _dynamodb, loyalty=settings.loyalty_table, sales=settings.sales_table, page=PAGE
)


@cache
def other_invocations() -> Any:
    """Return a client that starts them, opened here and not at import: few segments need one."""
    return boto3.client("lambda")


@metrics.log_metrics
@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    ring, changed_at = ring_now()
    if "segment" in event:
        work(event, ring, context)
        return {}
    settles_in = seconds_to_settle(
        changed_at,
        datetime.now(UTC),
        remembered_seconds=int(settings.ring_remembered_seconds),
    )
    if event.get("do") == "start" and not settles_in:
        start(ring, anew=bool(event.get("anew")), function=context.invoked_function_arn)
    return told(ring, table.progress(ring.state), settles_in_seconds=settles_in)


def ring_now() -> tuple[KeyRing, datetime]:
    """Return the ring, and since when it is as it is."""
    response = boto3.client("secretsmanager").get_secret_value(SecretId=settings.identity_secret_id)
    return KeyRing.from_text(response["SecretString"]), response["CreatedDate"]


def told(ring: KeyRing, progress: Progress, *, settles_in_seconds: int) -> dict[str, Any]:
    """Return how far the run of the ring's state is."""
    return {
        "current": ring.current,
        "accepted": list(ring.accepted),
        "settles_in_seconds": settles_in_seconds,
        "segments": len(progress.segments),
        "done": progress.done,
        "finished": progress.finished,
        "clean": progress.clean,
        "counts": dict(progress.counts),
    }


def start(ring: KeyRing, *, anew: bool, function: str) -> None:
    """Start every segment that is not done; one that somebody is at goes on by itself."""
    progress = table.begin(ring.state, anew=anew)
    unfinished = [each for each in progress.segments if each.place is not Place.DONE]
    for each in unfinished:
        hand_on(each, function=function)
    logger.info("rekeying started", run=ring.state, segments=len(unfinished))


def work(event: dict[str, Any], ring: KeyRing, context: LambdaContext) -> None:
    """Walk a segment from where it is until its end, or until time runs short."""
    segment = table.segment(event["run"], event["segment"])
    if ring.state != segment.run:
        logger.warning("ring has changed", run=segment.run, state=ring.state)
        return
    rekey = rekeyers(ring)
    while segment.place is not Place.DONE:
        items, last = table.walk(segment)
        outcomes = Counter(outcome_of(each, rekey[segment.place]) for each in items)
        segment = segment.after(outcomes, start=last)
        if not table.keep(segment):
            logger.info("somebody else is at it", run=segment.run, segment=segment.number)
            return
        count(outcomes)
        if context.get_remaining_time_in_millis() < ENOUGH_MILLISECONDS:
            break
    if segment.place is not Place.DONE:
        hand_on(segment, function=context.invoked_function_arn)
    logger.info(
        "segment walked",
        run=segment.run,
        segment=segment.number,
        place=segment.place,
        counts=dict(segment.counts),
    )


def rekeyers(ring: KeyRing) -> dict[Place, Callable[[Item], Outcome]]:
    """Return what brings an item in line with *ring*, by the table it is in."""
    identities = RekeyedIdentities(_dynamodb, name=settings.loyalty_table, sealer=sealer, ring=ring)
    sales = RekeyedSales(_dynamodb, name=settings.sales_table, sealer=sealer, ring=ring)
    return {
        Place.IDENTITIES: lambda item: identities.rekey(item, now=datetime.now(UTC)),
        Place.SALES: sales.rekey,
    }


def outcome_of(item: Item, rekey: Callable[[Item], Outcome]) -> Outcome:
    """Return what came of one item; the items after one that fails are none the worse."""
    try:
        return rekey(item)
    except Exception:
        logger.exception("not hashed anew", type=item["type"]["S"])
        return Outcome.FAILED


def count(outcomes: Counter[Outcome]) -> None:
    """Tell the metrics of a page, once it is certain that it counts."""
    changed, failed = outcomes[Outcome.CHANGED], outcomes[Outcome.FAILED]
    if changed:
        metrics.add_metric(name="ItemsRekeyed", unit=MetricUnit.Count, value=changed)
    if failed:
        metrics.add_metric(name="ItemsNotRekeyed", unit=MetricUnit.Count, value=failed)


def hand_on(segment: Segment, *, function: str) -> None:
    """Let another invocation go on with a segment."""
    other_invocations().invoke(
        FunctionName=function,
        InvocationType="Event",
        Payload=json.dumps({"run": segment.run, "segment": segment.number}),
    )
