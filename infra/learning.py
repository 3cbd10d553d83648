"""Weights, learnt anew every week from what people said of sales, and proposed to head office."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from infra.earning import KNOWN, matching_policy_of
from infra.functions import PlatformFunction
from infra.keys import about
from infra.queues import FailureQueue, WorkQueue, report_failures, usable_by
from infra.schedules import schedule, scheduler_role, zone_of

if TYPE_CHECKING:
    from infra.books import Books
    from infra.functions import Runtime
    from infra.identity import IdentitySecret
    from infra.keys import Keys
    from infra.tables import Tables

__all__ = ["Learning"]

# The night after the whole ledger was verified, which also counts the members.
LEARNT_AT = {"hour": "4", "minute": "0", "week_day": "TUE"}
LONGEST = cdk.Duration.minutes(15)  # Lambda lets nothing run longer
# One whole processor; sixty thousand sales are a quarter of the memory that comes with it.
MEMORY_MB = 1769
RUNS_AT_ONCE = 2  # the least SQS can be told
STEP_AGE_MAX = cdk.Duration.hours(6)


class Learning(Construct):
    """The job that proposes weights; `function` also starts when an operator asks."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        tables: Tables,
        books: Books,
        keys: Keys,
        identity_secret: IdentitySecret,
        group: scheduler.IScheduleGroup,
        runtime: Runtime,
    ) -> None:
        super().__init__(scope, construct_id)
        not_begun = FailureQueue(self, "NotBegun", keys=keys, target=runtime.target)
        steps = WorkQueue(
            self,
            "Steps",
            keys=keys,
            target=runtime.target,
            failures=FailureQueue(self, "NotLearnt", keys=keys, target=runtime.target),
            reader_timeout=LONGEST,
            age_max=STEP_AGE_MAX,
        )
        self.function = PlatformFunction(
            self,
            "Function",
            name="learning",
            description="Learns weights from judged sales and proposes them",
            runtime=runtime,
            environment={
                "SALES_TABLE": tables.sales.table_name,
                "LOYALTY_TABLE": tables.loyalty.table_name,
                "WORKINGS_BUCKET": books.workings.bucket_name,
                "LEARNING_QUEUE_URL": steps.queue_url,
                **identity_secret.environment,
                "SEAL_KEY_ID": keys.seal.key_arn,
                "MATCHING_POLICY": matching_policy_of(self),
                "ZONE": zone_of(self),
            },
            memory_mb=MEMORY_MB,
            timeout=LONGEST,
        )
        self._let_learn(tables, books, keys, identity_secret)
        self.function.let_feed_itself()  # until the run's plan ends
        self.function.allow("sqs:SendMessage", on=steps.queue_arn)
        self.function.add_event_source(
            event_sources.SqsEventSource(
                usable_by(self.function, steps), batch_size=1, max_concurrency=RUNS_AT_ONCE
            )
        )
        report_failures(self.function, not_begun)
        schedule(
            self,
            "Weekly",
            description="Learns weights from the last weeks' sales and proposes them",
            at=LEARNT_AT,
            group=group,
            function=self.function,
            failures=not_begun,
            role=scheduler_role(self, self.function, description="has weights learnt"),
            # However often the scheduler tries, it is one run.
            input_={"run_id": scheduler.ContextAttribute.scheduled_time},
        )

    def _let_learn(
        self, tables: Tables, books: Books, keys: Keys, identity_secret: IdentitySecret
    ) -> None:
        learning, loyalty = self.function, tables.loyalty
        tables.sales.let(learning, "Query", leading_keys=["STATION#*"])
        # Candidates are looked up as matching does it.
        loyalty.let(learning, "BatchGetItem", leading_keys=KNOWN)
        # Which stations there are, and how many members the last verification has met.
        loyalty.let(learning, "Query", leading_keys=["STATIONS", "VERIFICATIONS", "WEIGHTS"])
        loyalty.let(learning, "GetItem", "PutItem", leading_keys=["WEIGHTS"])
        books.workings.let(learning, "GetObject", "PutObject", below="learnings/")
        # What was typed or read is opened to see whether it is one slip from what is bound.
        identity_secret.let_read(learning)
        learning.allow("kms:Decrypt", on=keys.seal.key_arn, conditions=about("sale_id"))
