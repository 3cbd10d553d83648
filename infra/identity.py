"""The secret behind every identity hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_secretsmanager as secretsmanager

from infra.findings import accept

if TYPE_CHECKING:
    from constructs import Construct

    from infra.functions import PlatformFunction
    from infra.keys import Keys
    from infra.target import Target

__all__ = ["IdentitySecret"]


class IdentitySecret(secretsmanager.Secret):
    """
    The HMAC keys under which plates, phones and cards are stored (`forecourt.keyring`).

    The first is generated and never seen. `infra.rotate` puts a second beside it.
    """

    def __init__(self, scope: Construct, construct_id: str, *, keys: Keys, target: Target) -> None:
        super().__init__(
            scope,
            construct_id,
            description="Forecourt: HMAC key of all identities",
            encryption_key=keys.data,
            generate_secret_string=secretsmanager.SecretStringGenerator(
                password_length=64, exclude_punctuation=True
            ),
            removal_policy=target.removal_policy,
        )
        resource = self.node.default_child
        if not isinstance(resource, secretsmanager.CfnSecret):
            raise TypeError(resource)
        # By attribute: it is the ARN in every place, while a reference is the name in some.
        self.arn = resource.attr_id
        self.environment = {
            "IDENTITY_SECRET_ID": self.arn,
            "RING_REMEMBERED_SECONDS": str(target.ring_remembered_seconds),
        }
        accept(
            self,
            {
                "AwsSolutions-SMG4": "A new key takes hashing all identities anew, in steps that "
                "wait for each other. An operator's command rotates it (infra/rotate.py)."
            },
        )

    def let_read(self, function: PlatformFunction) -> None:
        function.allow("secretsmanager:GetSecretValue", on=self.arn)
        key = self.encryption_key
        if key is None:
            raise ValueError(f"{self.node.path} has no key of its own")
        function.allow(
            "kms:Decrypt",
            on=key.key_arn,
            conditions={
                "StringEquals": {
                    "kms:ViaService": f"secretsmanager.{self.stack.region}.amazonaws.com"
                }
            },
        )
