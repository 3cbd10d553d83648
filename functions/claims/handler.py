"""
Weigh sales anew that waited for what a member has just bound or said.

Hears of every `IdentityBound` and `ConfirmationAnswered` through a queue. Each waiting sale is
decided with all its evidence, so a plate bound today does not override a card that says
otherwise; one that is probably the member's puts a question to them. A member's word counts as
evidence, and for the whole where a person asked for it. A repeat finds nothing new and changes
nothing; an event that fails comes again.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from forecourt.assigning import AssignmentSettings, open_assignment
from forecourt.assignment import TO_BE_WEIGHED, WAITING_STATUSES
from forecourt.contention import until_settled
from forecourt.decided_sales import ORPHANS_MAX, DecidedSales
from forecourt.decisions import Outcome
from forecourt.errors import StaleWrite, VersionMismatch
from forecourt.hashes import EvidenceKey
from forecourt.member_errors import MemberMerged, UnknownMember
from forecourt.questions_table import Says
from forecourt.queues import each_by_itself
from forecourt.ruled_sales import RuledSales
from forecourt.rulings import assign
from forecourt.sales_table import SalesTable
from forecourt.values import dataclass

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from forecourt.rulings import Ruling
    from forecourt.stored_sales import StoredSale

CONFIRMED = "confirmed_by_member"
METRICS = {
    Outcome.CREDITED: "OrphansClaimed",
    Outcome.PENDING: "OrphansAskedAbout",
    Outcome.UNMATCHED: "OrphansLetGo",  # who was asked is not there any more
}
FLOODED = "OrphansFlooded"  # too many wait with one piece of evidence
DOUBTED = "ClaimsDoubted"  # a person decides instead


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a member says of a sale; `said_by` is staff when they said it at the counter."""

    member_id: str
    sale_id: str
    says: Says
    said_by: str


settings = AssignmentSettings.from_env()
logger = Logger()
metrics = Metrics()

_dynamodb = boto3.client("dynamodb")
sales = SalesTable(_dynamodb, name=settings.sales_table)
decided = DecidedSales(_dynamodb, sales=settings.sales_table, loyalty=settings.loyalty_table)
ruled = RuledSales(
    _dynamodb, sales=sales, sales_name=settings.sales_table, loyalty_name=settings.loyalty_table
)
assignment = open_assignment(settings, _dynamodb)


@metrics.log_metrics
@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return each_by_itself(event["Records"], hear, logger=logger, context=context)


def hear(record: dict[str, Any]) -> None:
    """Do what follows from the event in *record*."""
    detail = json.loads(record["body"])["detail"]
    if "answer" in detail:
        said = Said(
            member_id=detail["member_id"],
            sale_id=detail["sale_id"],
            says=Says(detail["answer"]),
            said_by=detail["answered_by"],
        )
        until_settled(lambda: heed(said))
        return
    claim(EvidenceKey(kind=detail["kind"], digest=detail["digest"]))


def claim(key: EvidenceKey) -> None:
    """
    Decide every sale again that waits for an identity with that *key*.

    What more than `ORPHANS_MAX` wait with tells nobody from anybody: they wait on.
    """
    waiting = decided.orphans(key, at_most=ORPHANS_MAX + 1)
    if len(waiting) > ORPHANS_MAX:
        metrics.add_metric(name=FLOODED, unit=MetricUnit.Count, value=1)
        logger.warning("too many orphans of one key", kind=key.kind, digest=key.digest)
        return
    for sale_id in waiting:
        until_settled(partial(weigh_orphan, key, sale_id))


def weigh_orphan(key: EvidenceKey, sale_id: str) -> None:
    """Decide a sale again, filed under *key*; raise `StaleWrite` to look at it again."""
    stored = sales.sale(sale_id)
    if stored.status in TO_BE_WEIGHED:
        # It is filed anew when it is weighed, perhaps this moment.
        logger.info("orphan is about to be weighed", sale_id=sale_id)
        return
    if stored.status not in WAITING_STATUSES:
        decided.forget_orphan(key, sale_id)
        return
    decision = assignment.claim(stored)
    if decision is None:
        logger.info("orphan waits on", sale_id=sale_id)
        return
    metrics.add_metric(name=METRICS[decision.outcome], unit=MetricUnit.Count, value=1)
    logger.info(
        "orphan weighed",
        sale_id=sale_id,
        outcome=decision.outcome,
        by=decision.by,
        reason=decision.reason,
    )
    if decision.outcome is Outcome.CREDITED:
        decided.forget_orphan(key, sale_id)


def heed(said: Said) -> None:
    """
    Let what a member says of a sale count while it is nobody's.

    Raise `StaleWrite` when the sale was decided meanwhile, to look again.
    """
    stored = sales.sale(said.sale_id)
    if stored.status in TO_BE_WEIGHED:
        keep(stored, said)
    elif stored.status not in WAITING_STATUSES:
        logger.info("answer comes late", sale_id=said.sale_id, status=stored.status)
    elif said.says is Says.NO:
        deny(stored, said)
    elif stored.ruled is not None:
        confirm(stored, said)
    else:
        weigh_claim(stored, said)


def keep(stored: StoredSale, said: Said) -> None:
    """
    Write down what a member says of a sale that is about to be weighed, or held: it counts then.

    Matching may have weighed it this moment, without the word. It cannot write that down any
    more, and the stream brings it the sale again, with the word.
    """
    note = decided.note_denial if said.says is Says.NO else decided.note_claim
    if not note(stored, said.member_id):
        raise StaleWrite
    logger.info("answer kept", sale_id=said.sale_id, says=said.says)


def deny(stored: StoredSale, said: Said) -> None:
    """
    Let a sale wait for others when who is asked says that it is not theirs.

    Who is not asked any more, because another was likelier, is not asked again.
    """
    if stored.asked != said.member_id:
        logger.info("nobody asks any more", sale_id=said.sale_id)
        if stored.ruled is None:  # else weighing is over
            keep(stored, said)
        return
    if not decided.deny(stored, said.member_id, denied_at=datetime.now(UTC)):
        raise StaleWrite
    metrics.add_metric(name="SalesDenied", unit=MetricUnit.Count, value=1)
    logger.info("sale denied", sale_id=said.sale_id)


def confirm(stored: StoredSale, said: Said) -> None:
    """Give a sale to the member whom a person asked about it; of others' claims nothing comes."""
    if stored.ruled is None or stored.asked != said.member_id:
        logger.info("claim waits for a person", sale_id=said.sale_id)
        return
    number = stored.ruled.ruling.number + 1

    def decree(now: StoredSale) -> Ruling:
        return assign(
            said.sale_id,
            said.member_id,
            volume_ml=now.sale.volume_ml,
            amount_fen=now.sale.amount_fen,
            number=number,
            actor=said.said_by,
            reason=CONFIRMED,
        )

    try:
        ruled.rule(said.sale_id, number, decree, ruled_at=datetime.now(UTC))
    except VersionMismatch:
        raise StaleWrite from None  # somebody ruled meanwhile
    except (UnknownMember, MemberMerged):
        logger.info("whoever confirmed is not there", sale_id=said.sale_id)
        return
    metrics.add_metric(name="SalesConfirmed", unit=MetricUnit.Count, value=1)
    logger.info("sale confirmed", sale_id=said.sale_id)


def weigh_claim(stored: StoredSale, said: Said) -> None:
    """Weigh a sale with a member's claim on it, which stays on the sale."""
    if not decided.note_claim(stored, said.member_id):
        raise StaleWrite
    claimed = replace(stored, claimed_by=stored.claimed_by | {said.member_id})
    decision = assignment.claim(claimed)
    if decision is None:
        logger.info("claim waits on", sale_id=said.sale_id)
        return
    doubted = decision.outcome is Outcome.PENDING and decision.member_id == said.member_id
    name = DOUBTED if doubted else METRICS[decision.outcome]
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
    logger.info(
        "claim weighed",
        sale_id=said.sale_id,
        outcome=decision.outcome,
        by=decision.by,
        reason=decision.reason,
    )
