"""Who asks to be forgotten, and where logins are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from functions.erasure import handler
from functions.erasure.logins import Logins
from tests.functional.conftest import client
from tests.functional.erasure.farewell import PERSONAL, Farewell

if TYPE_CHECKING:
    from tests.functional.world import World


@pytest.fixture
def user_pool(aws: None) -> str:  # noqa: ARG001 - what exists while it does
    cognito = client("cognito-idp")
    pool_id: str = cognito.create_user_pool(PoolName="users")["UserPool"]["Id"]
    for group in ("member", "operator"):
        cognito.create_group(UserPoolId=pool_id, GroupName=group)
    return pool_id


@pytest.fixture
def farewell(world: World, user_pool: str, monkeypatch: pytest.MonkeyPatch) -> Farewell:
    handler.identity_keys.forget()
    pool = Logins(client("cognito-idp"), pool_id=user_pool)
    monkeypatch.setattr(handler, "logins", lambda: pool)
    world.enrol("m1", *PERSONAL)
    return Farewell(world, handler)
