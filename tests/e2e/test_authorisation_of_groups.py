"""What each group of users may call, tried with their tokens on the deployed stack."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from forecourt.callers import GRANTS, OWN, Group, Permission
from infra.local.api_client import ApiClient
from infra.local.seed import enrol
from tests.e2e.route import call, passed
from tests.e2e.routes import ABOUT_MEMBERS, OF_MEMBERS, PUBLIC, ROUTES
from tests.e2e.traces import PREFIX, nothing_left

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.stack import LocalStack
    from tests.e2e.traces import Traces


@pytest.fixture(scope="module", autouse=True)
def traces(stack: LocalStack) -> Iterator[Traces]:
    with nothing_left(stack) as traces:
        yield traces


@pytest.fixture(scope="module")
def somebody(operator: ApiClient) -> str:
    """Somebody enrolled at the counter: the id of a member who has no user."""
    return enrol(operator, {"card": "E2E000001"}, name="Somebody")


def test_the_table_of_routes_has_every_route(stack: LocalStack) -> None:
    api_id = stack.api_url.rsplit("/", 1)[-1]
    deployed = stack.client("apigatewayv2").get_routes(ApiId=api_id)["Items"]

    assert ROUTES.keys() | {PUBLIC} == {each["RouteKey"] for each in deployed}
    assert [each["RouteKey"] for each in deployed if each["AuthorizationType"] != "JWT"] == [PUBLIC]


def test_the_table_of_routes_grants_what_the_permissions_grant() -> None:
    for name, each in ROUTES.items():
        granted = {str(group) for group, grants in GRANTS.items() if each.needs in grants}
        assert each.staff == granted, name
    # Of their own a member may also read the profile, which needs no route of its own.
    of_members = {ROUTES[name].needs for name in OF_MEMBERS} | {ROUTES["POST /members"].needs}
    assert of_members == OWN - {Permission.READ_PROFILES}


@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize("group", Group)
def test_a_group_may_call_its_routes_and_is_refused_the_rest(
    stack: LocalStack, traces: Traces, somebody: str, group: Group, name: str
) -> None:
    caller = ApiClient(stack.api_url, stack.token(group, f"{PREFIX}{group}"))
    wanted = ROUTES[name]
    path = wanted.path.format(member=somebody)
    enrols_oneself = group is Group.MEMBER and name == "POST /members"
    if group in wanted.staff or enrols_oneself:
        status, document = call(caller, name, path, wanted.body)

        assert passed(wanted, status, document), document
        return
    before = traces.items()

    status, document = call(caller, name, path, wanted.body)

    about_another = group is Group.MEMBER and name in ABOUT_MEMBERS
    assert (status, document["code"]) == (
        (404, "unknown_member") if about_another else (403, "forbidden")
    )
    assert traces.items() == before


@pytest.mark.parametrize("name", OF_MEMBERS)
def test_a_member_may_do_everything_about_themselves(stack: LocalStack, name: str) -> None:
    wanted = ROUTES[name]
    caller = ApiClient(stack.api_url, stack.token("member", f"{PREFIX}self"))
    caller.send("POST", "/members", {}, key="enrol")
    body = {"kind": "plate", "value": "浙AE2E02"} if "identities" in name else wanted.body

    status, document = call(caller, name, wanted.path.format(member="me"), body)

    assert passed(wanted, status, document), document


@pytest.mark.parametrize("name", OF_MEMBERS)
def test_a_member_learns_nothing_of_another_member(
    stack: LocalStack, somebody: str, name: str
) -> None:
    """Who is enrolled and who never was look alike: same status, same document."""
    caller = ApiClient(stack.api_url, stack.token("member", f"{PREFIX}self"))
    wanted = ROUTES[name]
    nobody = f"m-{'0' * 32}"

    of_somebody = call(caller, name, wanted.path.format(member=somebody), wanted.body)
    of_nobody = call(caller, name, wanted.path.format(member=nobody), wanted.body)

    told = json.loads(json.dumps(of_somebody).replace(somebody, nobody))
    assert told == list(of_nobody)
    assert of_nobody[0] == 404
