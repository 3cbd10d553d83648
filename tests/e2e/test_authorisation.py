"""Who may do what: each function's role, and each group of users, tried on the deployed stack."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forecourt.callers import GRANTS, OWN, Group, Permission
from infra.local.api_client import ApiClient
from infra.local.seed import enrol
from tests.e2e.probes import NOBODY, Guise, passes, probes
from tests.e2e.routes import ABOUT_MEMBERS, OF_MEMBERS, PUBLIC, ROUTES, call, passed
from tests.e2e.traces import PREFIX, nothing_left
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.stack import LocalStack
    from tests.e2e.probes import Probe
    from tests.e2e.traces import Traces

ROOT = Path(__file__).parents[2]

ANSWER_ONCE = {
    f"requests {operation}" for operation in ("GetItem", "PutItem", "UpdateItem", "DeleteItem")
}

# What it takes to decide whose a sale is.
ASSIGN = {
    "loyalty IDENTITY# BatchGetItem",
    "loyalty PORTRAIT# BatchGetItem",
    "loyalty BLOCK# BatchGetItem",
    "loyalty PRESENCE# BatchGetItem",
    "loyalty DRIVERS# BatchGetItem",
    "loyalty WEIGHTS GetItem",
    "loyalty ASKED# PutItem",
    "loyalty ASKED# DeleteItem",
    "sales STATION# GetItem",
    "sales STATION# UpdateItem",
    "sales EVIDENCE# PutItem",
    "read the identity secret",
    "open a sale's",
}

# What it takes to write down what a person decided.
RULE = {
    "loyalty RULINGS# PutItem",
    "loyalty MEMBER# ConditionCheckItem",
    "loyalty ASKED# PutItem",
    "loyalty ASKED# DeleteItem",
}

# What each function needs; all else there is in `tests.e2e.probes` it must be refused.
NEEDED = {
    "ingest": {
        "take from the ingest queue",
        "sales STATION# PutItem",
        "sales QUARANTINE# PutItem",
        "sales STATION# Query",
        "sales STATION# UpdateItem",
        "loyalty ASKED# DeleteItem",
        "loyalty STATIONS GetItem",
        "loyalty STATIONS UpdateItem",
        "read the identity secret",
        "seal a sale's",
        "acknowledge",
    },
    "matching": ASSIGN | {"leave in NotMatched"},
    "accrual": {
        "loyalty MEMBER# BatchGetItem",
        "loyalty PROGRAM BatchGetItem",
        "loyalty PROGRAM GetItem",
        "loyalty MEMBER# GetItem",
        "loyalty MEMBER# PutItem",
        "loyalty MEMBER# DeleteItem",
        "loyalty MEMBER# ConditionCheckItem",
        "leave in NotAccrued",
    },
    "claims": ASSIGN
    | RULE
    | {
        "sales EVIDENCE# Query",
        "sales EVIDENCE# DeleteItem",
        "take from HeardClaims",
    },
    "habits": {
        "sales STATION# GetItem",
        "sales STATION# UpdateItem",
        "loyalty RULINGS# GetItem",
        "loyalty PORTRAIT# GetItem",
        "loyalty PORTRAIT# UpdateItem",
        "loyalty PORTRAIT# ConditionCheckItem",
        "loyalty DRIVERS# GetItem",
        "loyalty DRIVERS# PutItem",
        "take from HeardHabits",
    },
    "due": {
        "loyalty PROGRAM GetItem",
        "loyalty days due",
        "leave in ExpiryTasks",
        "leave in RemindersTasks",
        "leave in NotSearched",
    },
    "expiry": {
        "loyalty PROGRAM GetItem",
        "loyalty MEMBER# BatchGetItem",
        "loyalty MEMBER# GetItem",
        "loyalty MEMBER# PutItem",
        "take from ExpiryTasks",
    },
    "reminders": {
        "loyalty PROGRAM GetItem",
        "loyalty MEMBER# BatchGetItem",
        "loyalty MEMBER# PutItem",
        "take from RemindersTasks",
    },
    "relay": {
        "put events on our bus",
        "leave in NotRelayed",
    },
    "members": {
        "loyalty MEMBER# GetItem",
        "loyalty MEMBER# Query",
        "loyalty MEMBER# BatchGetItem",
        "loyalty IDENTITY# GetItem",
        "loyalty PORTRAIT# UpdateItem",
        "loyalty BLOCK# UpdateItem",
        "loyalty MEMBER# ConditionCheckItem",
        "loyalty MEMBER# PutItem",
        "loyalty MEMBER# UpdateItem",
        "loyalty IDENTITY# PutItem",
        "loyalty IDENTITY# DeleteItem",
        "loyalty IDENTITY# ConditionCheckItem",
        "loyalty PROGRAM GetItem",
        "loyalty STATIONS GetItem",
        "loyalty PRESENCE# GetItem",
        "loyalty PRESENCE# PutItem",
        "loyalty BOOKS Query",
        "books books/ get_object",
        "sales STATION# BatchGetItem",
        "sales STATION# Query",
        "loyalty PORTRAIT# GetItem",
        "loyalty ASKED# Query",
        "loyalty ASKED# PutItem",
        "loyalty ASKED# UpdateItem",
        "read the identity secret",
        "seal a member's",
        "open a member's",
        *ANSWER_ONCE,
    },
    "operator": {
        "loyalty STATIONS GetItem",
        "loyalty STATIONS Query",
        "loyalty STATIONS PutItem",
        "loyalty PROGRAM GetItem",
        "loyalty PROGRAM Query",
        "loyalty PROGRAM PutItem",
        "loyalty PROGRAM UpdateItem",
        "loyalty WEIGHTS GetItem",
        "loyalty WEIGHTS Query",
        "loyalty WEIGHTS PutItem",
        "start learning",
        "sales STATION# GetItem",
        "sales STATION# Query",
        "sales STATION# UpdateItem",
        "loyalty ASKED# DeleteItem",
        "sales queue tellings",
        "sales queue held",
        "sales queue pending",
        "sales queue unmatched",
        "sales queue quarantined",
        "open a sale's",
        "make a thing",
        "list a thing's certificates",
        "make a certificate",
        "sign a certificate",
        "attach the policy",
        "attach a certificate",
        *ANSWER_ONCE,
    },
    "erasure": {
        *(f"loyalty MEMBER# {each}" for each in ("GetItem", "PutItem", "Query", "UpdateItem")),
        # The accounts are frozen, under the program's policies.
        *(f"loyalty MEMBER# {each}" for each in ("BatchGetItem", "DeleteItem")),
        "loyalty PROGRAM GetItem",
        *(f"loyalty IDENTITY# {each}" for each in ("GetItem", "PutItem", "BatchGetItem")),
        "loyalty IDENTITY# DeleteItem",
        "loyalty PORTRAIT# PutItem",
        "loyalty PORTRAIT# UpdateItem",
        "loyalty BLOCK# UpdateItem",
        "loyalty ASKED# Query",
        "loyalty ASKED# DeleteItem",
        "loyalty PRESENCE# DeleteItem",
        "loyalty DRIVERS# UpdateItem",
        *(f"sales STATION# {each}" for each in ("GetItem", "BatchGetItem", "UpdateItem")),
        "sales EVIDENCE# Query",
        "sales EVIDENCE# DeleteItem",
        "sales queue tellings",
        "read the identity secret",
        "open a member's",
        "find a user",
        "read a user's groups",
        "take a user out of a group",
        "delete a user",
        "start erasure",
        "leave in NotErased",
    },
    "rekeying": {
        *(f"loyalty REKEYING {each}" for each in ("GetItem", "PutItem", "Query")),
        *(f"loyalty {each}# GetItem" for each in ("IDENTITY", "MEMBER", "MERGES", "DRIVERS")),
        *(f"loyalty {each}# BatchGetItem" for each in ("MEMBER", "PORTRAIT")),
        *(f"loyalty {each}# PutItem" for each in ("IDENTITY", "MEMBER", "DRIVERS")),
        "loyalty PORTRAIT# ConditionCheckItem",
        *(f"loyalty {each}# UpdateItem" for each in ("PORTRAIT", "BLOCK", "MERGES")),
        *(f"loyalty {each}# DeleteItem" for each in ("IDENTITY", "BLOCK", "DRIVERS")),
        *(f"sales {each}# GetItem" for each in ("STATION", "EVIDENCE")),
        "sales STATION# UpdateItem",
        *(f"sales EVIDENCE# {each}" for each in ("PutItem", "DeleteItem")),
        "loyalty scan",
        "sales scan",
        "read the identity secret",
        "open a sale's",
        "open a member's",
        "seal a member's",
        "start rekeying",
        "leave in NotRekeyed",
    },
    "merging": {
        *(f"loyalty MEMBER# {each}" for each in ("GetItem", "BatchGetItem", "Query", "PutItem")),
        "loyalty MEMBER# UpdateItem",
        *(f"loyalty IDENTITY# {each}" for each in ("GetItem", "PutItem", "DeleteItem")),
        "loyalty PORTRAIT# UpdateItem",
        "loyalty MERGES# Query",
        "loyalty MERGES# PutItem",
        "loyalty PROGRAM GetItem",
        "seal a member's",
        "open a member's",
        *ANSWER_ONCE,
    },
    "rulings": {
        *RULE,
        "loyalty RULINGS# Query",
        "sales STATION# GetItem",
        "sales STATION# UpdateItem",
        *ANSWER_ONCE,
    },
    "corrections": {
        "loyalty MEMBER# GetItem",
        "loyalty PROGRAM GetItem",
        "loyalty MEMBER# BatchGetItem",
        "loyalty MEMBER# PutItem",
        "loyalty MEMBER# DeleteItem",
        "loyalty MEMBER# ConditionCheckItem",
        "loyalty ADJUSTMENTS BatchGetItem",
        "loyalty ADJUSTMENTS PutItem",
        "loyalty ADJUSTMENTS DeleteItem",
        "loyalty ADJUSTMENTS Query",
        "loyalty BUDGETS GetItem",
        "loyalty BUDGETS PutItem",
        "loyalty BUDGETS Query",
        "loyalty RULINGS# Query",
        "sales STATION# GetItem",
        *ANSWER_ONCE,
    },
    "redemption": {
        *(f"loyalty MEMBER# {each}" for each in ("GetItem", "BatchGetItem", "Query", "PutItem")),
        "loyalty MEMBER# DeleteItem",
        "loyalty MEMBER# ConditionCheckItem",
        "loyalty PROGRAM GetItem",
        *ANSWER_ONCE,
    },
    "reconciliation": {
        "loyalty STATIONS Query",
        "sales STATION# Query",
        "loyalty MEMBER# BatchGetItem",
        "loyalty CASES# PutItem",
        "loyalty CASES# DeleteItem",
        "leave in NotDone",
        "start reconciliation",
    },
    "archive": {
        "workings arrivals/ put_object",
        "leave in NotArchived",
    },
    "closing": {
        "loyalty BOOKS Query",
        "loyalty BOOKS PutItem",
        "loyalty MEMBER# Query",
        "loyalty MEMBER# BatchGetItem",
        "workings arrivals/ get_object",
        "workings arrivals/ put_object",
        "workings arrivals/ list_objects_v2",
        "books books/ get_object",
        "books books/ put_object",
        "leave in NotClosed",
    },
    "verification": {
        "loyalty scan",
        "loyalty BOOKS Query",
        "loyalty MEMBER# Query",
        "loyalty VERIFICATIONS PutItem",
        "books books/ get_object",
        "workings verifications/ get_object",
        "workings verifications/ put_object",
        "workings verifications/ list_objects_v2",
        "take from Segments",
        "leave in Segments",
        "leave in NotStarted",
    },
    "learning": {
        "sales STATION# Query",
        "loyalty IDENTITY# BatchGetItem",
        "loyalty DRIVERS# BatchGetItem",
        "loyalty PORTRAIT# BatchGetItem",
        "loyalty PRESENCE# BatchGetItem",
        "loyalty BLOCK# BatchGetItem",
        "loyalty STATIONS Query",
        "loyalty VERIFICATIONS Query",
        "loyalty WEIGHTS Query",
        "loyalty WEIGHTS GetItem",
        "loyalty WEIGHTS PutItem",
        "workings learnings/ get_object",
        "workings learnings/ put_object",
        "read the identity secret",
        "open a sale's",
        "take from Steps",
        "leave in Steps",
        "leave in NotBegun",
    },
    "openapi": set(),
}


@pytest.fixture(scope="module", autouse=True)
def traces(stack: LocalStack) -> Iterator[Traces]:
    with nothing_left(stack) as traces:
        yield traces


@pytest.fixture(scope="module")
def calls(stack: LocalStack, traces: Traces) -> Iterator[dict[str, Probe]]:
    """All probes; the tables withstand even a deletion that should have been refused."""
    dynamodb = stack.client("dynamodb")
    vault = stack.client("secretsmanager")
    with ExitStack() as undo:
        for table in traces.names.values():
            named = {"TableName": table}
            dynamodb.update_table(**named, DeletionProtectionEnabled=True)
            undo.callback(dynamodb.update_table, **named, DeletionProtectionEnabled=False)
        other = vault.create_secret(Name=f"{PREFIX}other", SecretString="not Forecourt's")["ARN"]
        undo.callback(vault.delete_secret, SecretId=other, ForceDeleteWithoutRecovery=True)
        yield probes(stack, other_secret=other)


@pytest.fixture(scope="module")
def guise(stack: LocalStack) -> Guise:
    return Guise(stack)


@pytest.fixture(scope="module")
def somebody(operator: ApiClient) -> str:
    """Somebody enrolled at the counter: the id of a member who has no user."""
    return enrol(operator, {"card": "E2E000001"}, name="Somebody")


def test_the_table_of_needs_has_every_function() -> None:
    folders = {path.parent.name for path in ROOT.glob("functions/*/handler.py")}

    assert NEEDED.keys() == folders


@pytest.mark.parametrize("function", NEEDED)
def test_a_function_may_do_what_it_needs_and_nothing_else(
    stack: LocalStack, calls: dict[str, Probe], guise: Guise, function: str
) -> None:
    guise.become(stack.client_as(function, "sts"))

    allowed = {name for name, probe in calls.items() if passes(guise.client(probe), probe)}

    assert allowed == NEEDED[function]


def test_every_probe_passes_for_an_administrator(
    stack: LocalStack, calls: dict[str, Probe], guise: Guise, traces: Traces
) -> None:
    """A probe that is refused for another reason than the caller's rights would prove nothing."""
    guise.become(stack.client("sts"))

    refused = {name for name, probe in calls.items() if not passes(guise.client(probe), probe)}

    assert not refused
    # Published as a station it was quarantined, as soon as ingest is warm; later tests count items.
    wait_for(lambda: any(NOBODY in pk for _, pk, _ in traces.items("sales")))


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
