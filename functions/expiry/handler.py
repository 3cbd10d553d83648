"""
Write down what is due on accounts: holds that timed out, points that began or ran out.

Works on the tasks that `due` found; the ledger counts it all in any case, so nobody waits for
this. The command's id is of account and day: done twice, late, or again after a crash, it
gives the same. An account that fails does not keep the others of its task from being done.
An extension of a last valid day, started by hand, goes the same way.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from forecourt.due import Task, command_for, task_from_json
from forecourt.ledger import settled
from forecourt.ledger.entries import EXPIRED
from forecourt.ledger_table import LedgerTable
from forecourt.loyalty_table import LoyaltyTable
from forecourt.programs import Programs
from forecourt.queues import each_by_itself
from forecourt.settings import Settings
from forecourt.values import dataclass

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from forecourt.ledger import Account, Entry, Policies


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpirySettings(Settings):
    loyalty_table: str


settings = ExpirySettings.from_env()
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
    work = partial(carry_out, policies=program.policies())
    return each_by_itself(event["Records"], work, logger=logger, context=context)


def carry_out(record: dict[str, Any], *, policies: Policies) -> None:
    """Do the task in *record*; raise what went wrong when all others are done."""
    task = task_from_json(record["body"])
    failures: list[Exception] = []
    for account in ledger.accounts(task.accounts):
        try:
            do(task, account, policies=policies)
        except Exception as failure:
            logger.exception("account not done", job=task.job.kind, wallet=account.wallet)
            failures.append(failure)
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(task.accounts)} not done", failures)


def do(task: Task, account: Account, *, policies: Policies) -> None:
    """Carry the task's command out on *account*, if it has one for it."""
    counts = settled(account, now=datetime.now(UTC), policies=policies)
    command = command_for(task, counts)
    if command is None:
        return
    answer = ledger.execute(command, policies=policies, account=account)
    if answer.refusal is not None:
        logger.info("nothing to do", entry_id=command.entry_id, code=answer.refusal.code)
        return
    if answer.repeated:
        logger.info("account done before", entry_id=command.entry_id)
        return
    lost = expired(answer.posted())
    metrics.add_metric(name="PointsExpired", unit=MetricUnit.Count, value=lost)
    logger.info("account done", entry_id=command.entry_id, expired=lost)


def expired(entry: Entry) -> int:
    """Return how much of the wallet ran out by *entry*."""
    return sum(leg.points for leg in entry.upkeep if leg.account == EXPIRED)
