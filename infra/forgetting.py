"""Members who asked to be forgotten: what forgets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as events_targets
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.functions import PlatformFunction
from infra.keys import about
from infra.queues import FailureQueue, report_failures
from infra.tables import REVIEW_INDEX

if TYPE_CHECKING:
    from infra.functions import Runtime
    from infra.identity import IdentitySecret
    from infra.keys import Keys
    from infra.tables import Tables
    from infra.users import Users

__all__ = ["Forgetting"]


class Forgetting(Construct):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        tables: Tables,
        users: Users,
        bus: events.IEventBus,
        keys: Keys,
        identity_secret: IdentitySecret,
        runtime: Runtime,
    ) -> None:
        super().__init__(scope, construct_id)
        failures = FailureQueue(self, "NotErased", keys=keys, target=runtime.target)
        erasure = PlatformFunction(
            self,
            "Erasure",
            name="erasure",
            description="Forgets a member: identities, habits, and who made which sale",
            runtime=runtime,
            environment={
                "SALES_TABLE": tables.sales.table_name,
                "LOYALTY_TABLE": tables.loyalty.table_name,
                **identity_secret.environment,
                "SEAL_KEY_ID": keys.seal.key_arn,
                "USER_POOL_ID": users.pool.user_pool_id,
            },
            timeout=cdk.Duration.minutes(5),
        )
        report_failures(erasure, failures)
        # Apart from the role's own policy, which the function waits for: that would be a circle.
        iam.Policy(
            self,
            "HandsOn",
            roles=[erasure.execution_role],
            statements=[
                iam.PolicyStatement(
                    actions=["lambda:InvokeFunction"], resources=[erasure.function_arn]
                )
            ],
        )
        sales, loyalty = tables.sales, tables.loyalty
        loyalty.let(erasure, "GetItem", "PutItem", leading_keys=["MEMBER#*", "IDENTITY#*"])
        loyalty.let(erasure, "DeleteItem", leading_keys=["IDENTITY#*"])
        loyalty.let(erasure, "Query", "UpdateItem", leading_keys=["MEMBER#*"])
        # Their accounts are frozen as the program says, and they leave their pools.
        loyalty.let(erasure, "BatchGetItem", "DeleteItem", leading_keys=["MEMBER#*"])
        loyalty.let(erasure, "GetItem", leading_keys=["PROGRAM"])
        loyalty.let(erasure, "PutItem", leading_keys=["PORTRAIT#*"])
        loyalty.let(erasure, "UpdateItem", leading_keys=["PORTRAIT#*", "BLOCK#*"])
        loyalty.let(erasure, "Query", "DeleteItem", leading_keys=["ASKED#*"])
        loyalty.let(erasure, "DeleteItem", leading_keys=["PRESENCE#*"])
        loyalty.let(erasure, "UpdateItem", leading_keys=["DRIVERS#*"])
        sales.let(erasure, "GetItem", "BatchGetItem", "UpdateItem", leading_keys=["STATION#*"])
        sales.let(erasure, "Query", "DeleteItem", leading_keys=["EVIDENCE#*"])
        # What tills told of them and found no sale.
        sales.let(erasure, "Query", leading_keys=["tellings"], index=REVIEW_INDEX)
        # Who works here as well keeps the user and leaves the members.
        erasure.allow(
            "cognito-idp:ListUsers",
            "cognito-idp:AdminListGroupsForUser",
            "cognito-idp:AdminRemoveUserFromGroup",
            "cognito-idp:AdminDeleteUser",
            on=users.pool.user_pool_arn,
        )
        # A phone's value says which block has one number less.
        identity_secret.let_read(erasure)
        erasure.allow("kms:Decrypt", on=keys.seal.key_arn, conditions=about("member_id"))
        events.Rule(
            self,
            "WhenErased",
            event_bus=bus,
            description="A member asked to be forgotten: forget the rest of them",
            event_pattern=events.EventPattern(source=["forecourt"], detail_type=["MemberErased"]),
            targets=[events_targets.LambdaFunction(erasure, dead_letter_queue=failures)],
        )
