"""Who signs in: one user pool, and the groups the API distinguishes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_cognito as cognito
from constructs import Construct

from infra.findings import accept

if TYPE_CHECKING:
    from infra.target import Target

__all__ = ["GROUPS", "Users"]

GROUPS = {
    "member": "Drivers: their own points, identities and sales",
    "attendant": "Forecourt staff: who just arrived, captures, quotes",
    "manager": "Station managers: held sales, corrections",
    "operator": "Head office: stations, programs, review queues",
    "auditor": "Reads everything operators see, changes nothing",
}
PASSWORD_LENGTH_MIN = 12


class Users(Construct):
    def __init__(self, scope: Construct, construct_id: str, *, target: Target) -> None:
        super().__init__(scope, construct_id)
        self.pool = cognito.UserPool(
            self,
            "Pool",
            self_sign_up_enabled=False,
            sign_in_aliases=cognito.SignInAliases(username=True),
            password_policy=cognito.PasswordPolicy(
                min_length=PASSWORD_LENGTH_MIN,
                require_digits=True,
                require_lowercase=True,
                require_symbols=True,
                require_uppercase=True,
            ),
            mfa=cognito.Mfa.OPTIONAL,
            mfa_second_factor=cognito.MfaSecondFactor(sms=False, otp=True),
            account_recovery=cognito.AccountRecovery.NONE,
            deletion_protection=not target.disposable,
            removal_policy=target.removal_policy,
        )
        self.client = self.pool.add_client(
            "Apps",
            auth_flows=cognito.AuthFlow(user_srp=True, admin_user_password=True),
            disable_o_auth=True,
            generate_secret=False,
            prevent_user_existence_errors=True,
            access_token_validity=cdk.Duration.hours(1),
            id_token_validity=cdk.Duration.hours(1),
            refresh_token_validity=cdk.Duration.days(30),
        )
        for group, description in GROUPS.items():
            cognito.UserPoolGroup(
                self,
                group.capitalize(),
                user_pool=self.pool,
                group_name=group,
                description=description,
            )
        accept(
            self.pool,
            {
                "AwsSolutions-COG2": "Drivers sign in from an app on their phone, where a second "
                "factor may be switched on; staff are told to.",
                "AwsSolutions-COG8": "The Plus plan is billed per member and month: a decision of "
                "the company that runs the platform.",
            },
        )
