"""From a sale to points: whose it is, what it earns, and what a newly bound identity claims."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as events_targets
from aws_cdk import aws_lambda_destinations as destinations
from constructs import Construct

from infra.functions import PlatformFunction
from infra.queues import FailureQueue, usable_by
from infra.streams import read_stream

if TYPE_CHECKING:
    from infra.functions import Runtime
    from infra.keys import Keys
    from infra.tables import Tables

__all__ = ["Earning"]

SALE_RECEIVED = {"dynamodb": {"NewImage": {"status": {"S": ["received"]}}}}
SALE_MATCHED = {
    "eventName": ["MODIFY"],
    "dynamodb": {"NewImage": {"status": {"S": ["matched"]}}},
}


class Earning(Construct):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        tables: Tables,
        bus: events.IEventBus,
        keys: Keys,
        runtime: Runtime,
    ) -> None:
        super().__init__(scope, construct_id)
        self._keys = keys
        self._runtime = runtime
        self._tables = tables
        self.matching = self._matching()
        self.accrual = self._accrual()
        self.claims = self._claims(bus)

    def _matching(self) -> PlatformFunction:
        sales, loyalty = self._tables.sales, self._tables.loyalty
        matching = PlatformFunction(
            self,
            "Matching",
            name="matching",
            description="Decides whose sale it is and writes owner and evidence to the sale",
            runtime=self._runtime,
            environment={"SALES_TABLE": sales.table_name, "LOYALTY_TABLE": loyalty.table_name},
        )
        loyalty.let(matching, "BatchGetItem", leading_keys=["IDENTITY#*"])
        sales.let(matching, "UpdateItem", leading_keys=["STATION#*"])
        # The pointers by which an unmatched sale is found once its evidence is bound.
        sales.let(matching, "PutItem", leading_keys=["EVIDENCE#*"])
        read_stream(
            matching, sales, filters=[SALE_RECEIVED], on_failure=self._failures("NotMatched")
        )
        return matching

    def _accrual(self) -> PlatformFunction:
        loyalty = self._tables.loyalty
        accrual = PlatformFunction(
            self,
            "Accrual",
            name="accrual",
            description="Posts what a matched sale earns under the program in force",
            runtime=self._runtime,
            environment={"LOYALTY_TABLE": loyalty.table_name},
        )
        # Account and timeline are read together.
        loyalty.let(accrual, "BatchGetItem", leading_keys=["MEMBER#*", "PROGRAM"])
        loyalty.let(accrual, "GetItem", leading_keys=["PROGRAM"])
        loyalty.let(accrual, "PutItem", leading_keys=["MEMBER#*"])
        read_stream(
            accrual,
            self._tables.sales,
            filters=[SALE_MATCHED],
            on_failure=self._failures("NotAccrued"),
        )
        return accrual

    def _claims(self, bus: events.IEventBus) -> PlatformFunction:
        sales, loyalty = self._tables.sales, self._tables.loyalty
        failures = self._failures("NotClaimed")
        claims = PlatformFunction(
            self,
            "Claims",
            name="claims",
            description="Gives unmatched sales of the last days to whoever bound their identity",
            runtime=self._runtime,
            environment={"SALES_TABLE": sales.table_name, "LOYALTY_TABLE": loyalty.table_name},
            timeout=cdk.Duration.seconds(60),
        )
        claims.configure_async_invoke(
            on_failure=destinations.SqsDestination(usable_by(claims, failures)), retry_attempts=2
        )
        sales.let(claims, "Query", "DeleteItem", leading_keys=["EVIDENCE#*"])
        sales.let(claims, "GetItem", "UpdateItem", leading_keys=["STATION#*"])
        loyalty.let(claims, "BatchGetItem", leading_keys=["IDENTITY#*"])
        events.Rule(
            self,
            "WhenIdentityBound",
            event_bus=bus,
            description="A member bound an identity: claim the sales that waited for it",
            event_pattern=events.EventPattern(source=["forecourt"], detail_type=["IdentityBound"]),
            targets=[events_targets.LambdaFunction(claims, dead_letter_queue=failures)],
        )
        return claims

    def _failures(self, construct_id: str) -> FailureQueue:
        return FailureQueue(self, construct_id, keys=self._keys, target=self._runtime.target)
