"""
Find the accounts on which something comes due, and put them on the queue of who does it.

Refunds that have waited long for their sale are found on the way, and told by log and metric.

Started by schedules: hourly to settle what is overdue, daily to remind; by hand to extend
(`forecourt.due.job_from_event`). What is settled leaves the days looked at, so a run that died
is made good by the next; tasks that are sent twice are done once.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from forecourt.due import JobKind, job_from_event, task_to_json, tasks
from forecourt.instants import business_day, day_bounds
from forecourt.ledger.procedure import AccountKey
from forecourt.ledger_table import LedgerTable, due_keys
from forecourt.loyalty_table import LoyaltyTable
from forecourt.programs import Programs
from forecourt.queues import send
from forecourt.settings import Settings
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from forecourt.ledger.procedure import ParkedKey


@dataclass(frozen=True, slots=True, kw_only=True)
class DueSettings(Settings):
    loyalty_table: str
    expiry_queue_url: str
    reminders_queue_url: str


settings = DueSettings.from_env()
logger = Logger()
metrics = Metrics()
sqs = boto3.client("sqs")
dynamodb = boto3.client("dynamodb")
ledger = LedgerTable(dynamodb, name=settings.loyalty_table)
programs = Programs(LoyaltyTable(dynamodb, name=settings.loyalty_table))


@metrics.log_metrics
@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    job, now = job_from_event(event), datetime.now(UTC)
    program = programs.at(now)
    if program is None:
        logger.info("no program in force", job=job.kind)
        return {"accounts": 0}
    today = business_day(now, program.zone)
    begun_at, _ = day_bounds(today, program.zone)
    due = (key for day in job.days(today) for key in due_keys(day))
    waiting: list[ParkedKey] = []
    accounts = 0

    def found() -> Iterator[AccountKey]:
        for key in chain.from_iterable(map(ledger.due, due)):
            if isinstance(key, AccountKey):
                yield key
            else:
                waiting.append(key)

    def bodies() -> Iterator[str]:
        nonlocal accounts
        for task in tasks(job, found(), on=today, begun_at=begun_at):
            accounts += len(task.accounts)
            yield task_to_json(task)

    send(sqs, queue_url(job.kind), bodies())
    if job.kind is JobKind.SETTLE:
        tell_waiting(waiting)
    logger.info("accounts found", job=job.kind, on=today.isoformat(), accounts=accounts)
    return {"accounts": accounts}


def tell_waiting(waiting: list[ParkedKey]) -> None:
    """Tell of refunds whose sale should have come by now, or of a judgement of it."""
    for key in waiting:
        logger.warning("refund waits for its sale", member_id=key.owner, entry_id=key.entry_id)
    if waiting:
        metrics.add_metric(name="RefundsWaiting", unit=MetricUnit.Count, value=len(waiting))


def queue_url(kind: JobKind) -> str:
    """Return the queue of the function that does jobs of that *kind*."""
    return settings.reminders_queue_url if kind is JobKind.REMIND else settings.expiry_queue_url
