"""What runs out: found by its day, written down, and announced to its owner before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from infra.functions import PlatformFunction
from infra.queues import FailureQueue, WorkQueue, report_failures, usable_by
from infra.schedules import schedule, scheduler_role
from infra.tables import DUE_INDEX

if TYPE_CHECKING:
    from infra.functions import Runtime
    from infra.keys import Keys
    from infra.tables import Tables

__all__ = ["Expiry"]

# The first run of a day begins it; the others find what came late or was left behind.
SETTLED_AT = {"minute": "5"}
# By day: a message at midnight wakes people.
REMINDED_AT = {"hour": "10", "minute": "0"}
WORK_TIMEOUT = cdk.Duration.seconds(60)
BATCH_SIZE = 4  # of tasks, each of some accounts
# On the last of a year everything runs out; sales come first.
CONCURRENCY_MAX = 10
# Nobody waits for a task, but a day's are done within the day.
AGE_MAX = cdk.Duration.hours(6)


class Expiry(Construct):
    """One function that finds, and behind a queue each one that settles and one that reminds."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        tables: Tables,
        group: scheduler.IScheduleGroup,
        keys: Keys,
        runtime: Runtime,
    ) -> None:
        super().__init__(scope, construct_id)
        self._tables = tables
        self._keys = keys
        self._runtime = runtime
        loyalty = tables.loyalty
        self.expiry, expiry_queue = self._worker(
            "Expiry", "Settles what is due on accounts: holds, activations, points that ran out"
        )
        loyalty.let(self.expiry, "GetItem", "PutItem", leading_keys=["MEMBER#*"])
        self.reminders, reminders_queue = self._worker(
            "Reminders", "Reminds members of points that run out soon"
        )
        loyalty.let(self.reminders, "PutItem", leading_keys=["MEMBER#*"])
        failures = FailureQueue(self, "NotSearched", keys=keys, target=runtime.target)
        self.due = self._finder(expiry_queue, reminders_queue, failures)
        role = scheduler_role(self, self.due, description="starts the search for what is due")
        for name, description, job, at in (
            ("Hourly", "Settles what is due", "settle", SETTLED_AT),
            ("Daily", "Reminds of what runs out soon", "remind", REMINDED_AT),
        ):
            schedule(
                self,
                name,
                description=description,
                at=at,
                group=group,
                function=self.due,
                input_={"job": job},
                failures=failures,
                role=role,
            )

    def _worker(self, name: str, description: str) -> tuple[PlatformFunction, WorkQueue]:
        """Return the function that does tasks, and the queue it takes them from."""
        queue = WorkQueue(
            self,
            f"{name}Tasks",
            keys=self._keys,
            target=self._runtime.target,
            failures=FailureQueue(
                self, f"{name}NotDone", keys=self._keys, target=self._runtime.target
            ),
            reader_timeout=WORK_TIMEOUT,
            age_max=AGE_MAX,
        )
        worker = PlatformFunction(
            self,
            name,
            name=name.lower(),
            description=description,
            runtime=self._runtime,
            environment={"LOYALTY_TABLE": self._tables.loyalty.table_name},
            timeout=WORK_TIMEOUT,
        )
        worker.add_event_source(
            event_sources.SqsEventSource(
                usable_by(worker, queue),
                batch_size=BATCH_SIZE,
                max_concurrency=CONCURRENCY_MAX,
                report_batch_item_failures=True,
            )
        )
        self._let_read_program(worker)
        self._tables.loyalty.let(worker, "BatchGetItem", leading_keys=["MEMBER#*"])
        return worker, queue

    def _finder(
        self, expiry: WorkQueue, reminders: WorkQueue, failures: FailureQueue
    ) -> PlatformFunction:
        due = PlatformFunction(
            self,
            "Due",
            name="due",
            description="Finds the accounts on which something comes due",
            runtime=self._runtime,
            environment={
                "LOYALTY_TABLE": self._tables.loyalty.table_name,
                "EXPIRY_QUEUE_URL": expiry.queue_url,
                "REMINDERS_QUEUE_URL": reminders.queue_url,
            },
            timeout=cdk.Duration.minutes(15),  # Lambda's most: millions of accounts on one day
        )
        report_failures(due, failures)
        for queue in (expiry, reminders):
            usable_by(due, queue).grant_send_messages(due)
        self._let_read_program(due)
        # Any day; the index holds nothing but the keys of accounts.
        self._tables.loyalty.let(due, "Query", index=DUE_INDEX)
        return due

    def _let_read_program(self, function: PlatformFunction) -> None:
        self._tables.loyalty.let(function, "GetItem", leading_keys=["PROGRAM"])
