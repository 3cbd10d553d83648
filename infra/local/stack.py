"""
Forecourt on this machine, deployed by the real `cdk deploy`.

    with LocalStack() as stack:
        stack.token("operator")

IAM is enforced: functions act as their roles, stations as their policy lets them.
"""

from __future__ import annotations

import json
import secrets
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Self

import boto3

from infra.local.assembly import LocalAssembly
from infra.local.cdk import Cdk
from infra.local.errors import LocalStackError
from infra.local.ministack import ACCOUNT, ADMINISTRATOR, LOOPBACK, REGION, MiniStack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["LocalStack", "LocalStackError"]

# The qualifier of `cdk bootstrap` unless it is told another.
BOOTSTRAP_QUALIFIER = "hnb659fds"


def _say(line: str) -> None:
    print(line, flush=True)


class LocalStack:
    """
    The deployed stack, ready when the `with` block begins and gone without a trace after it.

    *say* takes one line per step, for a person who waits.
    """

    def __init__(self, *, say: Callable[[str], None] = _say) -> None:
        self._say = say
        self._resources = ExitStack()
        self._ministack: MiniStack | None = None
        self._outputs: dict[str, str] = {}
        self._tokens: dict[tuple[str, str], str] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._resources.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    @property
    def endpoint_url(self) -> str:
        """Where every AWS API answers."""
        return self._emulator.endpoint_url

    @property
    def api_url(self) -> str:
        """
        The HTTP API under a path of the endpoint.

        The output `ApiUrl` names a host below `localhost`, which curl resolves and Python does not.
        """
        return f"{self.endpoint_url}/_aws/execute-api/{self._api_id}"

    @property
    def mqtt_host(self) -> str:
        return LOOPBACK

    @property
    def mqtt_port(self) -> int:
        return self._emulator.mqtt_port

    @property
    def ca_pem_path(self) -> Path:
        """The certificate a station checks the MQTT endpoint's certificate with."""
        return self._emulator.folder / "iot-ca.pem"

    @property
    def folder(self) -> Path:
        """A folder that goes with the stack."""
        return self._emulator.folder

    @property
    def outputs(self) -> dict[str, str]:
        return dict(self._outputs)

    def settings(self) -> dict[str, str]:
        """Return the variables by which a process finds this stack and is its administrator."""
        return self._emulator.settings()

    def environment(self) -> dict[str, str]:
        """Return an environment in which AWS is this stack and the caller its administrator."""
        return self._emulator.environment()

    def log(self) -> str:
        """Return what the emulator wrote, for a person who looks for a cause."""
        return self._emulator.log()

    def client(self, service: str) -> Any:
        """Return a boto3 client with all rights."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=ADMINISTRATOR,
            aws_secret_access_key=ADMINISTRATOR,
        )

    def client_as(self, function: str, service: str) -> Any:
        """Return a boto3 client with the rights of the function in `functions/<function>/`."""
        role_arn = self.client("lambda").get_function_configuration(
            FunctionName=self.function_name(function)
        )["Role"]
        role_name = role_arn.rsplit("/", 1)[-1]
        # In AWS only Lambda may take this role; here the account may too, to try what it allows.
        self.client("iam").update_assume_role_policy(
            RoleName=role_name,
            PolicyDocument=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": {
                        "Effect": "Allow",
                        "Principal": {
                            "Service": "lambda.amazonaws.com",
                            "AWS": f"arn:aws:iam::{ACCOUNT}:root",
                        },
                        "Action": "sts:AssumeRole",
                    },
                }
            ),
        )
        session = self.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="trial")
        credentials = session["Credentials"]
        return boto3.client(
            service,
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )

    def function_name(self, function: str) -> str:
        """Return the deployed name of the function in `functions/<function>/`."""
        pages = self.client("lambda").get_paginator("list_functions").paginate()
        for page in pages:
            for deployed in page["Functions"]:
                if deployed["Handler"] == f"functions.{function}.handler.handle":
                    return str(deployed["FunctionName"])
        raise KeyError(function)

    def token(self, group: str, username: str | None = None) -> str:
        """
        Return an access token of *username* (the group's name by default), a member of *group*.

        The user is made at the first call; the token is good for an hour.
        """
        username = username or group
        known = self._tokens.get((group, username))
        if known is not None:
            return known
        cognito = self.client("cognito-idp")
        pool = {"UserPoolId": self._outputs["UserPoolId"], "Username": username}
        password = f"{secrets.token_urlsafe(16)}aA1!"
        # The same person may be in a second group.
        with suppress(cognito.exceptions.UsernameExistsException):
            cognito.admin_create_user(**pool, MessageAction="SUPPRESS")
        cognito.admin_set_user_password(**pool, Password=password, Permanent=True)
        cognito.admin_add_user_to_group(**pool, GroupName=group)
        answer = cognito.admin_initiate_auth(
            UserPoolId=self._outputs["UserPoolId"],
            ClientId=self._outputs["UserPoolClientId"],
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": username, "PASSWORD": password},
        )
        token = str(answer["AuthenticationResult"]["AccessToken"])
        self._tokens[group, username] = token
        return token

    @property
    def _emulator(self) -> MiniStack:
        if self._ministack is None:
            raise LocalStackError("the local stack is not running")
        return self._ministack

    @property
    def _api_id(self) -> str:
        return self._outputs["ApiUrl"].split("//", 1)[1].split(".", 1)[0]

    def _start(self) -> None:
        self._say("Starting MiniStack (local AWS, IAM enforced), cdk synth ...")
        # Synthesis needs no AWS: it goes on while the emulator starts.
        with LocalAssembly() as assembly:
            self._ministack = self._resources.enter_context(MiniStack())
            self.ca_pem_path.write_bytes(self._emulator.fetch("/_ministack/iot/ca.pem"))
            self._say(f"MiniStack answers at {self.endpoint_url}")
        self._deploy(assembly.folder)

    def _deploy(self, assembly: Path) -> None:
        self._say("cdk deploy ...")
        # All that a deployment with the caller's own rights needs of `cdk bootstrap`.
        self.client("s3").create_bucket(
            Bucket=f"cdk-{BOOTSTRAP_QUALIFIER}-assets-{ACCOUNT}-{REGION}",
            CreateBucketConfiguration={"LocationConstraint": REGION},
        )
        outputs = self.folder / "outputs.json"
        with Cdk(
            *("deploy", "--app", str(assembly), "--require-approval", "never"),
            *("--method", "direct", "--progress", "events", "--outputs-file", str(outputs)),
            environment=self._emulator.environment(),
        ) as deployment:
            for done, total in deployment.progress():
                self._say(f"  {done} of {total} resources")
        (self._outputs,) = json.loads(outputs.read_text()).values()
