"""From a sale to points: whose it is, what it earns, and what a newly bound identity claims."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_events as events
from constructs import Construct

from infra.functions import PlatformFunction
from infra.hearing import hear
from infra.keys import about
from infra.queues import FailureQueue
from infra.rulings import let_rule
from infra.streams import read_stream

if TYPE_CHECKING:
    from infra.functions import Runtime
    from infra.identity import IdentitySecret
    from infra.keys import Keys
    from infra.tables import Tables

__all__ = ["KNOWN", "Earning", "matching_policy_of"]

# A car may be driven by several members, unless the context key `matching_policy` says
# `one_car_one_member`.
POLICY_DEFAULT = "shared_vehicle"
# Owners, drivers, portraits, check-ins and blocks are read together.
KNOWN = ["IDENTITY#*", "DRIVERS#*", "PORTRAIT#*", "PRESENCE#*", "BLOCK#*"]
SALE_RECEIVED = {"dynamodb": {"NewImage": {"status": {"S": ["received"]}}}}
SALE_MATCHED = {
    "eventName": ["MODIFY"],
    "dynamodb": {"NewImage": {"status": {"S": ["matched"]}}},
}
# By a person; it leaves the queue when its evidence is forgotten, which is no news.
SALE_TAKEN_FROM_EVERYBODY = {
    "eventName": ["MODIFY"],
    "dynamodb": {"NewImage": {"status": {"S": ["nobodys"]}, "queue": {"S": ["settled"]}}},
}
EARNED = events.EventPattern(
    source=["forecourt"],
    detail_type=["EntryRecorded"],
    # Also what a person's ruling gave, for a reason of its own; growth value is the same sale's.
    detail={
        "kind": ["earn"],
        "wallet": ["points"],
        "source": events.Match.prefix("sale:"),
    },
)
ANSWERED = events.EventPattern(source=["forecourt"], detail_type=["ConfirmationAnswered"])
BOUND = events.EventPattern(source=["forecourt"], detail_type=["IdentityBound"])
RULED = events.EventPattern(source=["forecourt"], detail_type=["SaleRuled"])
EARNED_NOTHING = events.EventPattern(source=["forecourt"], detail_type=["SaleEarnedNothing"])


def matching_policy_of(scope: Construct) -> str:
    """Return the name of the policy by which sales are decided."""
    return str(scope.node.try_get_context("matching_policy") or POLICY_DEFAULT)


class Earning(Construct):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        tables: Tables,
        bus: events.IEventBus,
        keys: Keys,
        identity_secret: IdentitySecret,
        runtime: Runtime,
    ) -> None:
        super().__init__(scope, construct_id)
        self._keys = keys
        self._identity_secret = identity_secret
        self._runtime = runtime
        self._tables = tables
        self.matching = self._matching()
        self.accrual = self._accrual()
        self.claims = self._claims(bus)
        self.habits = self._habits(bus)

    def _matching(self) -> PlatformFunction:
        matching = PlatformFunction(
            self,
            "Matching",
            name="matching",
            description="Decides whose sale it is and writes owner and evidence to the sale",
            runtime=self._runtime,
            environment=self._assignment_environment(),
        )
        self._let_assign(matching)
        read_stream(
            matching,
            self._tables.sales,
            filters=[SALE_RECEIVED],
            on_failure=self._failures("NotMatched"),
        )
        return matching

    def _assignment_environment(self) -> dict[str, str]:
        return {
            "SALES_TABLE": self._tables.sales.table_name,
            "LOYALTY_TABLE": self._tables.loyalty.table_name,
            **self._identity_secret.environment,
            "SEAL_KEY_ID": self._keys.seal.key_arn,
            "MATCHING_POLICY": matching_policy_of(self),
        }

    def _let_assign(self, function: PlatformFunction) -> None:
        """Let *function* weigh sales and write down whose they are."""
        sales, loyalty = self._tables.sales, self._tables.loyalty
        loyalty.let(function, "BatchGetItem", leading_keys=KNOWN)
        loyalty.let(function, "GetItem", leading_keys=["WEIGHTS"])
        sales.let(function, "GetItem", "UpdateItem", leading_keys=["STATION#*"])
        # The pointers by which a sale without owner is found once its evidence is bound.
        sales.let(function, "PutItem", leading_keys=["EVIDENCE#*"])
        # The question to the member a sale probably belongs to.
        loyalty.let(function, "PutItem", "DeleteItem", leading_keys=["ASKED#*"])
        # What was typed or read is opened when nobody has it, to look for what was meant.
        self._identity_secret.let_read(function)
        function.allow("kms:Decrypt", on=self._keys.seal.key_arn, conditions=about("sale_id"))

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
        # Deletes the note of a reversal that waited for this sale, in the same transaction.
        loyalty.let(accrual, "GetItem", "PutItem", "DeleteItem", leading_keys=["MEMBER#*"])
        # That a sale earns nothing, or what a full wallet refuses, is held against the account,
        # which it leaves alone.
        loyalty.let(accrual, "ConditionCheckItem", leading_keys=["MEMBER#*"])
        read_stream(
            accrual,
            self._tables.sales,
            filters=[SALE_MATCHED, SALE_TAKEN_FROM_EVERYBODY],
            on_failure=self._failures("NotAccrued"),
        )
        return accrual

    def _claims(self, bus: events.IEventBus) -> PlatformFunction:
        claims = PlatformFunction(
            self,
            "Claims",
            name="claims",
            description="Weighs sales anew that waited for what a member has bound or said",
            runtime=self._runtime,
            environment=self._assignment_environment(),
            timeout=cdk.Duration.seconds(60),
        )
        self._let_assign(claims)
        self._tables.sales.let(claims, "Query", "DeleteItem", leading_keys=["EVIDENCE#*"])
        # A member's yes to what a person asked is a ruling.
        let_rule(claims, self._tables)
        self._hear(
            claims,
            bus,
            "NotClaimed",
            {
                "WhenAnswered": ("A member said whether a sale is theirs: weigh it so", ANSWERED),
                "WhenIdentityBound": ("A member bound an identity: claim what waited", BOUND),
            },
        )
        return claims

    def _habits(self, bus: events.IEventBus) -> PlatformFunction:
        sales, loyalty = self._tables.sales, self._tables.loyalty
        habits = PlatformFunction(
            self,
            "Habits",
            name="habits",
            description="Keeps where, when and what members fill, as their judged sales tell",
            runtime=self._runtime,
            environment={"SALES_TABLE": sales.table_name, "LOYALTY_TABLE": loyalty.table_name},
        )
        # A sale that was judged after its member was forgotten is forgotten, too.
        sales.let(habits, "GetItem", "UpdateItem", leading_keys=["STATION#*"])
        loyalty.let(habits, "GetItem", "UpdateItem", leading_keys=["PORTRAIT#*"])
        # Who drives a car is noted of those only who were not erased meanwhile.
        loyalty.let(habits, "GetItem", "PutItem", leading_keys=["DRIVERS#*"])
        loyalty.let(habits, "ConditionCheckItem", leading_keys=["PORTRAIT#*"])
        loyalty.let(habits, "GetItem", leading_keys=["RULINGS#*"])
        self._hear(
            habits,
            bus,
            "NotCounted",
            {
                "WhenSaleEarned": ("A sale earned points: count it among habits", EARNED),
                "WhenSaleEarnedNothing": ("A sale earned nothing: a habit, too", EARNED_NOTHING),
                "WhenSaleRuled": ("A sale changed hands: habits follow", RULED),
            },
        )
        return habits

    def _hear(
        self,
        function: PlatformFunction,
        bus: events.IEventBus,
        failures: str,
        patterns: dict[str, tuple[str, events.EventPattern]],
    ) -> None:
        hear(
            self,
            function,
            bus,
            patterns=patterns,
            failures=self._failures(failures),
            keys=self._keys,
            target=self._runtime.target,
        )

    def _failures(self, construct_id: str) -> FailureQueue:
        return FailureQueue(self, construct_id, keys=self._keys, target=self._runtime.target)
