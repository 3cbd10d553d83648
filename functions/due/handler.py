"""
Find the accounts on which something comes due, and put them on the queue of who does it.

Started by schedules: hourly to settle what is overdue, daily to remind; by hand to extend
(`forecourt.due.job_from_event`). What is settled leaves the days looked at, so a run that died
is made good by the next; tasks that are sent twice are done once.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger

from forecourt.due import JobKind, job_from_event, task_to_json, tasks
from forecourt.instants import business_day, day_bounds
from forecourt.ledger_table import LedgerTable, due_keys
from forecourt.loyalty_table import LoyaltyTable
from forecourt.programs import Programs
from forecourt.queues import send
from forecourt.settings import Settings
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools.utilities.typing import LambdaContext


@dataclass(frozen=True, slots=True, kw_only=True)
class DueSettings(Settings):
    loyalty_table: str
    expiry_queue_url: str
    reminders_queue_url: str


settings = DueSettings.from_env()
logger = Logger()
sqs = boto3.client("sqs")
dynamodb = boto3.client("dynamodb")
ledger = LedgerTable(dynamodb, name=settings.loyalty_table)
programs = Programs(LoyaltyTable(dynamodb, name=settings.loyalty_table))


@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    job, now = job_from_event(event), datetime.now(UTC)
    program = programs.at(now)
    if program is None:
        logger.info("no program in force", job=job.kind)
        return {"accounts": 0}
    today = business_day(now, program.zone)
    begun_at, _ = day_bounds(today, program.zone)
    found = (key for day in job.days(today) for due in due_keys(day) for key in ledger.due(due))
    accounts = 0

    def bodies() -> Iterator[str]:
        nonlocal accounts
        for task in tasks(job, found, on=today, begun_at=begun_at):
            accounts += len(task.accounts)
            yield task_to_json(task)

    send(sqs, queue_url(job.kind), bodies())
    logger.info("accounts found", job=job.kind, on=today.isoformat(), accounts=accounts)
    return {"accounts": accounts}


def queue_url(kind: JobKind) -> str:
    """Return the queue of the function that does jobs of that *kind*."""
    return settings.reminders_queue_url if kind is JobKind.REMIND else settings.expiry_queue_url
