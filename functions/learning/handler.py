"""
Propose new weights, learnt from judged sales, with a comparison on sales that were held back.

Invoked by the scheduler, or for an operator with a `run_id` of their own, it makes a plan and puts
a message on its own queue. A message is worked on until time runs short; what is left goes back
on the queue. A step that is done twice leaves the same files, and a run proposes once. Where there
is too little to learn from, the run says so and proposes nothing. Nothing is ever activated here.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import boto3
from aws_lambda_powertools import Logger

from forecourt.assigning import open_tolerance
from forecourt.candidates_table import CandidatesTable
from forecourt.conversations import in_step
from forecourt.inquiry import POLICIES, gather
from forecourt.instants import business_day, day_bounds, format_instant
from forecourt.judged_sales import judged_sale, sampled
from forecourt.learning_files import SALES_A_UNIT, LearningFiles, Plan, Position, units_of
from forecourt.proposals import Shortfall, proposal_to_record, propose
from forecourt.sales_table import SalesTable
from forecourt.settings import Settings
from forecourt.stations_table import StationsTable
from forecourt.timelines import in_force
from forecourt.values import dataclass
from forecourt.verification import owners_counted
from forecourt.weights_table import SHIPPED_VERSION, Learning, WeightsTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from forecourt.inquiry import Found, LookUp
    from forecourt.judged_sales import JudgedSale
    from forecourt.stored_sales import StoredSale

# What the next day of a station, or learning from all that was gathered, may take.
TIME_RESERVED_MS = 8 * 60 * 1000
SALES_AT_ONCE = 50  # whose look-ups share round trips


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningSettings(Settings):
    """`matching_policy` is what matching decides by, so that both sets of weights do."""

    sales_table: str
    loyalty_table: str
    workings_bucket: str
    learning_queue_url: str
    identity_secret_id: str
    ring_remembered_seconds: str
    seal_key_id: str
    matching_policy: str
    zone: str


settings = LearningSettings.from_env()
logger = Logger()

_s3 = boto3.client("s3")
_sqs = boto3.client("sqs")
_dynamodb = boto3.client("dynamodb")
sales = SalesTable(_dynamodb, name=settings.sales_table)
stations = StationsTable(_dynamodb, name=settings.loyalty_table)
candidates = CandidatesTable(_dynamodb, name=settings.loyalty_table)
weights = WeightsTable(_dynamodb, name=settings.loyalty_table)
tolerate = open_tolerance(
    identity_secret_id=settings.identity_secret_id,
    ring_remembered_seconds=int(settings.ring_remembered_seconds),
    seal_key_id=settings.seal_key_id,
)


@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    if "Records" not in event:
        now = datetime.now(UTC)
        return start(event.get("run_id") or format_instant(now), now=now)
    for record in event["Records"]:  # one: a step has the invocation's time for itself
        step(Position.from_text(record["body"]), context)
    return {}


def start(run_id: str, *, now: datetime) -> dict[str, Any]:
    """Begin a run; begun twice, it is the same run."""
    plan = files_of(run_id).begin(
        Plan(
            run_id=run_id,
            units=units_of(
                run_id,
                [each.station_id for each in stations.stations()],
                today=business_day(now, ZoneInfo(settings.zone)),
            ),
            members=owners_counted(_dynamodb, table=settings.loyalty_table),
            in_force=in_force(weights.timeline(), now) or SHIPPED_VERSION,
        )
    )
    put(Position(run_id=run_id))
    logger.info("learning started", run_id=run_id, units=len(plan.units), members=plan.members)
    return {"run_id": run_id, "units": len(plan.units)}


def step(position: Position, context: LambdaContext) -> None:
    """Go on from *position* until time runs short; put the rest on the queue."""
    plan = files_of(position.run_id).plan()
    here = position
    while not here.has_enough(plan):
        here = collect(plan, here)
        if context.get_remaining_time_in_millis() < TIME_RESERVED_MS:
            logger.info("sales gathered", run_id=plan.run_id, unit=here.unit, sales=here.sales)
            put(here)
            return
    conclude(plan, here)


def collect(plan: Plan, position: Position) -> Position:
    """Keep what one day of a station teaches; return where to go on."""
    station, day = plan.units[position.unit]
    opens_at, closes_at = day_bounds(date.fromisoformat(day), ZoneInfo(settings.zone))
    told = sales.station_sales(station, opens_at=opens_at, closes_at=closes_at)
    drawn = sampled(told, most=SALES_A_UNIT)
    found = [
        each
        for first in range(0, len(drawn), SALES_AT_ONCE)
        for each in judged(drawn[first : first + SALES_AT_ONCE])
    ]
    files_of(plan.run_id).keep(position.unit, found)
    return replace(position, unit=position.unit + 1, sales=position.sales + len(found))


def judged(stored: Sequence[StoredSale]) -> Iterator[JudgedSale]:
    """Yield sales with everybody who may have made them, as far as keys tell."""
    blocks = dict(enumerate(each.phone_blocks for each in stored))
    density: dict[int, int] = {}

    def look_up(asked: Mapping[int, LookUp]) -> Mapping[int, Found]:
        found = candidates.look_up(asked, blocks=blocks)
        for place in asked.keys() - density.keys():
            density[place] = found[place].block_members
        return found

    inquiries = [gather(each.observations, each.fill, tolerate=tolerate(each)) for each in stored]
    for place, found in enumerate(in_step(inquiries, look_up)):
        yield judged_sale(
            stored[place],
            found,
            block_members=density[place] if blocks[place] else None,
        )


def conclude(plan: Plan, position: Position) -> None:
    """Propose weights, or say why not."""
    outcome = propose(
        list(files_of(plan.run_id).sales(position)),
        members=plan.members,
        in_force=weights.weights(plan.in_force),
        policy=POLICIES[settings.matching_policy],
    )
    now = datetime.now(UTC)
    if isinstance(outcome, Shortfall):
        weights.keep_learning(
            Learning(
                run_id=plan.run_id,
                finished_at=now,
                reason=str(outcome.reason),
                found=outcome.found,
                needed=outcome.needed,
            )
        )
        logger.warning(
            "nothing proposed",
            run_id=plan.run_id,
            reason=outcome.reason,
            found=outcome.found,
            needed=outcome.needed,
        )
        return
    version = weights.propose(
        plan.run_id,
        lambda version: proposal_to_record(outcome, version=version),
        proposed_at=now,
    )
    logger.info(
        "weights proposed",
        run_id=plan.run_id,
        version=version,
        sales=outcome.sales,
        confirmed=outcome.confirmed,
        changed=outcome.comparison.changed,
        safe=outcome.comparison.is_safe,
    )


def put(position: Position) -> None:
    _sqs.send_message(QueueUrl=settings.learning_queue_url, MessageBody=position.to_text())


def files_of(run_id: str) -> LearningFiles:
    return LearningFiles(_s3, bucket=settings.workings_bucket, run_id=run_id)
