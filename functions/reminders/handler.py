"""
Remind members of points that run out in 30, 7 or 1 days.

Works on the tasks that `due` found: all accounts with something that ends within the month,
since an account is known by its first day only. A reminder is an item written once, and relay
makes the event of it; a task that comes again finds its reminders given.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from forecourt.due import task_from_json
from forecourt.ledger import settled
from forecourt.ledger_table import LedgerTable
from forecourt.loyalty_table import LoyaltyTable
from forecourt.programs import Programs
from forecourt.queues import each_by_itself
from forecourt.reminders import notices
from forecourt.settings import Settings
from forecourt.values import dataclass

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from forecourt.ledger import Policies


@dataclass(frozen=True, slots=True, kw_only=True)
class RemindersSettings(Settings):
    loyalty_table: str


settings = RemindersSettings.from_env()
logger = Logger()
metrics = Metrics()
dynamodb = boto3.client("dynamodb")
ledger = LedgerTable(dynamodb, name=settings.loyalty_table)
programs = Programs(LoyaltyTable(dynamodb, name=settings.loyalty_table))


@metrics.log_metrics
@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    program = programs.at(datetime.now(UTC))
    if program is None:
        raise ValueError(event)  # without a program nobody has an account
    work = partial(remind, policies=program.policies())
    return each_by_itself(event["Records"], work, logger=logger, context=context)


def remind(record: dict[str, Any], *, policies: Policies) -> None:
    """Give the reminders of the day for the accounts in *record*."""
    task, now = task_from_json(record["body"]), datetime.now(UTC)
    # A replica that lags has yesterday's balance at worst, which was right yesterday.
    for account in ledger.accounts(task.accounts, consistent=False):
        counts = settled(account, now=now, policies=policies)
        for notice in notices(counts, task.on):
            if ledger.remind(notice, noticed_at=now):
                metrics.add_metric(name="RemindersGiven", unit=MetricUnit.Count, value=1)
                logger.info(
                    "reminder given",
                    wallet=notice.wallet,
                    expires_on=notice.expires_on.isoformat(),
                    days_before=notice.days_before,
                )
