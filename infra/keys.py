"""
Encryption at rest: two keys, because two different circles may decrypt.

`data` protects tables, queues, topics and the identity secret.  Services decrypt with it on
behalf of whoever may read the resource, and it is usable through those services only.

`seal` protects single values inside items (a number plate that was read, a phone number).
Reading an item does not open them: ingest may only seal. The APIs may open what they show to
a person entitled to it, and matching what was seen at a sale, to look for what was meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

if TYPE_CHECKING:
    from infra.target import Target

__all__ = ["Keys", "about"]


def about(name: str) -> dict[str, dict[str, str]]:
    """
    Return the condition that a value is sealed as part of something with a *name*, as `sale_id`.

    The encryption context names the item a value belongs to: who may open what belongs to a sale
    cannot open what belongs to a member.
    """
    return {"StringLike": {f"kms:EncryptionContext:{name}": "*"}}


class Keys(Construct):
    def __init__(self, scope: Construct, construct_id: str, *, target: Target) -> None:
        super().__init__(scope, construct_id)
        self.data = kms.Key(
            self,
            "Data",
            description="Forecourt: tables, queues, topics and the identity secret",
            enable_key_rotation=True,
            removal_policy=target.removal_policy,
        )
        self.seal = kms.Key(
            self,
            "Seal",
            description="Forecourt: personal values sealed inside items",
            enable_key_rotation=True,
            removal_policy=target.removal_policy,
        )
        self._let_services_write()

    def _let_services_write(self) -> None:
        """
        Let alarms reach the encrypted topic and EventBridge its encrypted failure queues.

        Only on behalf of this account: a service principal alone would be a confused deputy.
        """
        stack = cdk.Stack.of(self)
        for service in ("cloudwatch.amazonaws.com", "events.amazonaws.com"):
            self.data.add_to_resource_policy(
                iam.PolicyStatement(
                    principals=[iam.ServicePrincipal(service)],
                    actions=["kms:Decrypt", "kms:GenerateDataKey"],
                    resources=["*"],
                    conditions={"StringEquals": {"aws:SourceAccount": stack.account}},
                )
            )
