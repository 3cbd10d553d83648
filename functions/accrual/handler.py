"""
Turn a member's litres into points.

Reads the stream of the Sales table, sales that became `matched` only, and those a person took
from everybody. The program version in force at the sale's business time judges it, and its
terms say from when and until when the points are good; the account is kept by the policy in
force now. The entry's id is the sale's, so a record that comes again finds its entry and
changes nothing. Under a program with tiers the member's growth account is read as well, and
growth value is posted behind the points; the record is done when both are there. What a
person's ruling moves is in `functions.accrual.ruled`, what a till's receipt changes afterwards
in `functions.accrual.late_baskets`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from forecourt.growing import Growing
from forecourt.growth import growth_of, tier_of_sale
from forecourt.ledger import Policies
from forecourt.ledger.commands import Earn, EarnNothing
from forecourt.ledger.refusals import CeilingExceeded
from forecourt.ledger_table import LedgerTable
from forecourt.loyalty_table import LoyaltyTable
from forecourt.program import Program, evaluate, program_from_document
from forecourt.receiving import follow
from forecourt.settings import Settings
from forecourt.stored_sales import sale_from_item
from forecourt.streams import one_by_one
from forecourt.timelines import in_force
from forecourt.values import dataclass
from functions.accrual.growth_accounts import GrowthAccounts
from functions.accrual.judging import earning
from functions.accrual.ruled import Mover

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from forecourt.ledger import Account, Answer
    from forecourt.loyalty_table import Standings
    from forecourt.stored_sales import StoredSale


@dataclass(frozen=True, slots=True, kw_only=True)
class AccrualSettings(Settings):
    loyalty_table: str


settings = AccrualSettings.from_env()
logger = Logger()
metrics = Metrics()
dynamodb = boto3.client("dynamodb")
loyalty = LoyaltyTable(dynamodb, name=settings.loyalty_table)
ledger = LedgerTable(dynamodb, name=settings.loyalty_table)
growth_accounts = GrowthAccounts()


@metrics.log_metrics
@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    records = event["Records"]
    # One look-up for the whole batch: under load it is what keeps up.
    owners = [sale_of(record).member_id for record in records]
    standings = loyalty.standings(filter(None, owners), growth=growth_accounts.wanted)
    return one_by_one(records, partial(accrue, standings=standings), logger=logger, context=context)


def sale_of(record: dict[str, Any]) -> StoredSale:
    """Return the sale in *record*'s new image."""
    return sale_from_item(record["dynamodb"]["NewImage"])


def accrue(record: dict[str, Any], *, standings: Standings) -> None:
    """Post what the sale in *record* earns."""
    stored = sale_of(record)
    if stored.ruled is not None:
        moved = mover(stored, standings).move(stored, stored.ruled)
        logger.info(
            "ruling carried out",
            sale_id=stored.sale.sale_id,
            ruling=stored.ruled.ruling.number,
            points=moved,
        )
    else:
        judge(stored, standings)
    if stored.basket is not None and stored.basket.after:
        changed = mover(stored, standings).late.settle(stored)
        logger.info("receipt settled", sale_id=stored.sale.sale_id, points=changed)


def judge(stored: StoredSale, standings: Standings) -> None:
    """Post what a sale earns, and say so."""
    points = post(stored, standings)
    if points is None:
        logger.info("sale judged before", sale_id=stored.sale.sale_id)
        return
    metrics.add_metric(name="PointsIssued", unit=MetricUnit.Count, value=points)
    logger.info("sale judged", sale_id=stored.sale.sale_id, points=points)


def post(stored: StoredSale, standings: Standings) -> int | None:
    """
    Judge and post once; return the points, or `None` when that had happened before.

    What was looked up for the batch is good for a member's first sale in it; the ledger reads
    the account again for another. Raises `StaleWrite` when the account stays contended, for
    the stream to bring the sale again.
    """
    sale, member_id = stored.sale, stored.member_id
    if member_id is None:
        raise ValueError(sale.sale_id)  # the stream's filter lets only matched sales through
    version = in_force(standings.timeline, sale.key.completed_at)
    about: dict[str, Any] = {
        "owner": member_id,
        "source": f"sale:{sale.sale_id}",
        "reason": "fuel",
        "actor": "accrual",
        "program_version": version or 0,
        "occurred_at": sale.key.completed_at,
    }
    if version is None:
        nothing = EarnNothing(entry_id=sale.sale_id, **about)
        return None if follow(ledger.execute, nothing, policies=Policies()).repeated else 0
    now = datetime.now(UTC)
    # What the sale earns is of its own time; how the account is kept, of now.
    judging, keeping = program(version), program(in_force(standings.timeline, now) or version)
    growth, tier, grown = growth_of(judging, sale), None, None
    if growth is not None or judging.tiers is not None:
        grown = growth_accounts.of(member_id, standings, loyalty)
        tier = tier_of_sale(judging, sale, grown, now=now)
    evaluation = evaluate(judging, sale, stored.basket_for(sale.sale_id), tier=tier)
    trace = tuple(each.to_record() for each in evaluation.trace)
    if evaluation.points == 0:
        answer = follow(
            ledger.execute,
            EarnNothing(entry_id=sale.sale_id, trace=trace, **about),
            policies=keeping.policies(),
            account=standings.accounts.pop(member_id, None),
        )
        points = None if answer.repeated else 0
    else:
        command = Earn(
            entry_id=sale.sale_id,
            points=evaluation.points,
            expires_on=evaluation.expires_on,
            activates_on=evaluation.activates_on,
            items=evaluation.items,
            trace=trace,
            **about,
        )
        points = post_points(
            command,
            policies=keeping.policies(),
            account=standings.accounts.pop(member_id, None),
            earn=earning(ledger, judging),
        )
    if growth is not None:
        growing = Growing(ledger=ledger, policies=keeping.policies())
        growing.give(growth, sale.sale_id, about=about, account=grown)
    return points


def post_points(
    command: Earn,
    *,
    policies: Policies,
    account: Account | None,
    earn: Callable[..., Answer | None],
) -> int | None:
    """Post what a sale earns to whom it belongs by now; return as `post` does."""
    answer = follow(earn, command, policies=policies, account=account)
    if answer is None:
        return None
    if isinstance(answer.refusal, CeilingExceeded):
        # An answer, kept in the entry's place: to try again would not make the wallet larger.
        logger.warning("wallet is full", sale_id=command.entry_id)
        return None if answer.repeated else 0
    answer.posted()
    return None if answer.repeated else command.points


def mover(stored: StoredSale, standings: Standings) -> Mover:
    """Return what carries out a ruling about a sale."""
    version = in_force(standings.timeline, stored.sale.key.completed_at)
    now = in_force(standings.timeline, datetime.now(UTC)) or version
    return Mover(
        loyalty=loyalty,
        ledger=ledger,
        policies=program(now).policies() if now else Policies(),
        judging=program(version) if version else None,
    )


@cache
def program(version: int) -> Program:
    """Return an activated version; it never changes, so it is read once in a container's life."""
    return program_from_document(loyalty.program_document(version), version=version)
