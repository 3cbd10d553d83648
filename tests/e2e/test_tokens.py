"""Only a token that was given for this API, and is what it was then, opens it."""

from __future__ import annotations

import base64
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

import pytest

from infra.local.api_client import ApiClient
from tests.e2e.route import call
from tests.e2e.routes import ROUTES
from tests.e2e.traces import PREFIX, nothing_left

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.stack import LocalStack


@pytest.fixture(scope="module", autouse=True)
def _left_as_found(stack: LocalStack) -> Iterator[None]:
    with nothing_left(stack):
        yield


def test_who_belongs_to_no_group_may_do_nothing(stack: LocalStack) -> None:
    pool = stack.outputs["UserPoolId"], stack.outputs["UserPoolClientId"]
    caller = ApiClient(stack.api_url, sign_in(stack, *pool, username=f"{PREFIX}alone"))

    for name, wanted in ROUTES.items():
        status, document = call(
            caller, name, wanted.path.format(member=f"m-{'0' * 32}"), wanted.body
        )
        assert (status, document["code"]) in {(403, "forbidden"), (404, "unknown_member")}, name


@pytest.mark.parametrize("name", ROUTES)
def test_without_a_token_nothing_is_answered(stack: LocalStack, name: str) -> None:
    status, document = call(
        ApiClient(stack.api_url), name, ROUTES[name].path.format(member="me"), ROUTES[name].body
    )

    assert (status, document) == (401, {"message": "Unauthorized"})


def test_a_token_is_refused_once_it_has_expired(stack: LocalStack) -> None:
    cognito = stack.client("cognito-idp")
    client = {
        "UserPoolId": stack.outputs["UserPoolId"],
        "ClientId": stack.outputs["UserPoolClientId"],
    }
    described = cognito.describe_user_pool_client(**client)["UserPoolClient"]
    kept = {
        name: value
        for name, value in described.items()
        if value and name not in {"ClientSecret", "CreationDate", "LastModifiedDate"}
    }
    short = {"AccessTokenValidity": 1, "TokenValidityUnits": {"AccessToken": "seconds"}}
    cognito.update_user_pool_client(**kept | short)
    try:
        token = sign_in(stack, *client.values(), username=f"{PREFIX}late", group="operator")
    finally:
        cognito.update_user_pool_client(**kept)
    time.sleep(max(0.0, claims_of(token)["exp"] - time.time()) + 0.1)

    status, document = ApiClient(stack.api_url, token).send("GET", "/stations")

    assert (status, document) == (401, {"message": "Unauthorized"})
    assert claims_of(token)["cognito:groups"] == ["operator"]


@pytest.mark.parametrize("tampering", ["other claims", "no signature", "half a token", "garbage"])
def test_a_tampered_token_is_refused(stack: LocalStack, tampering: str) -> None:
    header, _, signature = stack.token("member", f"{PREFIX}self").split(".")
    claims = claims_of(stack.token("member", f"{PREFIX}self")) | {"cognito:groups": ["operator"]}
    forged = {
        "other claims": f"{header}.{encoded(claims)}.{signature}",
        "no signature": f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{encoded(claims)}.",
        "half a token": f"{header}.{encoded(claims)}",
        "garbage": "garbage",
    }

    status, document = ApiClient(stack.api_url, forged[tampering]).send("GET", "/stations")

    assert (status, document) == (401, {"message": "Unauthorized"})


@pytest.mark.parametrize("of", ["another client", "another pool"])
def test_a_token_that_was_not_given_for_this_api_is_refused(stack: LocalStack, of: str) -> None:
    cognito = stack.client("cognito-idp")
    pool_id = stack.outputs["UserPoolId"]
    if of == "another pool":
        pool_id = cognito.create_user_pool(PoolName=f"{PREFIX}pool")["UserPool"]["Id"]
        cognito.create_group(UserPoolId=pool_id, GroupName="operator")
    client_id = cognito.create_user_pool_client(
        UserPoolId=pool_id,
        ClientName=f"{PREFIX}client",
        ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
    )["UserPoolClient"]["ClientId"]
    try:
        token = sign_in(stack, pool_id, client_id, username=f"{PREFIX}guest", group="operator")

        status, document = ApiClient(stack.api_url, token).send("GET", "/stations")
    finally:
        cognito.delete_user_pool_client(UserPoolId=pool_id, ClientId=client_id)
        if of == "another pool":
            cognito.delete_user_pool(UserPoolId=pool_id)

    assert (status, document) == (401, {"message": "Unauthorized"})
    assert claims_of(token)["cognito:groups"] == ["operator"]


def sign_in(
    stack: LocalStack, pool_id: str, client_id: str, *, username: str, group: str | None = None
) -> str:
    """Make a user of any pool and return an access token a client of it was given."""
    cognito = stack.client("cognito-idp")
    user = {"UserPoolId": pool_id, "Username": username}
    password = f"{secrets.token_urlsafe(16)}aA1!"
    cognito.admin_create_user(**user, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(**user, Password=password, Permanent=True)
    if group:
        cognito.admin_add_user_to_group(**user, GroupName=group)
    try:
        answer = cognito.admin_initiate_auth(
            UserPoolId=pool_id,
            ClientId=client_id,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": username, "PASSWORD": password},
        )
    finally:
        cognito.admin_delete_user(**user)
    return str(answer["AuthenticationResult"]["AccessToken"])


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(
        base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    )
    return claims


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
