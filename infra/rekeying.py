"""Rotating the key of the identities' hashes: what hashes anew all that is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.functions import PlatformFunction
from infra.keys import about
from infra.queues import FailureQueue, report_failures

if TYPE_CHECKING:
    from infra.functions import Runtime
    from infra.identity import IdentitySecret
    from infra.keys import Keys
    from infra.tables import Tables

__all__ = ["Rekeying"]

LONGEST = cdk.Duration.minutes(15)  # Lambda lets nothing run longer


class Rekeying(Construct):
    """The function that an operator's command starts, and that goes on by itself."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        tables: Tables,
        keys: Keys,
        identity_secret: IdentitySecret,
        runtime: Runtime,
    ) -> None:
        super().__init__(scope, construct_id)
        failures = FailureQueue(self, "NotRekeyed", keys=keys, target=runtime.target)
        self.function = PlatformFunction(
            self,
            "Rekeying",
            name="rekeying",
            description="Hashes identities and evidence anew while their key is rotated",
            runtime=runtime,
            environment={
                "SALES_TABLE": tables.sales.table_name,
                "LOYALTY_TABLE": tables.loyalty.table_name,
                **identity_secret.environment,
                "SEAL_KEY_ID": keys.seal.key_arn,
            },
            timeout=LONGEST,
        )
        report_failures(self.function, failures)
        # Apart from the role's own policy, which the function waits for: that would be a circle.
        iam.Policy(
            self,
            "HandsOn",
            roles=[self.function.execution_role],
            statements=[
                iam.PolicyStatement(
                    actions=["lambda:InvokeFunction"], resources=[self.function.function_arn]
                )
            ],
        )
        self._grant(tables, keys)
        identity_secret.let_read(self.function)

    def _grant(self, tables: Tables, keys: Keys) -> None:
        rekeying, sales, loyalty = self.function, tables.sales, tables.loyalty
        # Whatever is hashed has to be found, and no key leads to all of it.
        loyalty.let_scan(rekeying)
        sales.let_scan(rekeying)
        # How far it is.
        loyalty.let(rekeying, "GetItem", "PutItem", "Query", leading_keys=["REKEYING"])
        # An identity moves with what its owners have of it.
        loyalty.let(rekeying, "GetItem", leading_keys=["IDENTITY#*", "MEMBER#*", "MERGES#*"])
        loyalty.let(rekeying, "BatchGetItem", leading_keys=["MEMBER#*", "PORTRAIT#*"])
        loyalty.let(rekeying, "PutItem", leading_keys=["IDENTITY#*", "MEMBER#*"])
        loyalty.let(rekeying, "UpdateItem", leading_keys=["PORTRAIT#*", "BLOCK#*", "MERGES#*"])
        loyalty.let(rekeying, "DeleteItem", leading_keys=["IDENTITY#*", "BLOCK#*"])
        # Who drives a car, unless they were erased meanwhile.
        loyalty.let(rekeying, "GetItem", "PutItem", "DeleteItem", leading_keys=["DRIVERS#*"])
        loyalty.let(rekeying, "ConditionCheckItem", leading_keys=["PORTRAIT#*"])
        sales.let(rekeying, "GetItem", leading_keys=["STATION#*", "EVIDENCE#*"])
        sales.let(rekeying, "UpdateItem", leading_keys=["STATION#*"])
        sales.let(rekeying, "PutItem", "DeleteItem", leading_keys=["EVIDENCE#*"])
        # The values are opened to be hashed, and a member's are sealed again as part of where
        # they went.
        for name in ("sale_id", "member_id"):
            rekeying.allow("kms:Decrypt", on=keys.seal.key_arn, conditions=about(name))
        rekeying.allow("kms:Encrypt", on=keys.seal.key_arn, conditions=about("member_id"))
