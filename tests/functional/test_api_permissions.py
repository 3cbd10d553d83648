"""Every route against every group: who gets in, and that refusing writes nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from forecourt.callers import Group
from forecourt.doors import WRITES
from forecourt.instants import format_instant
from functions.operator import handler as operator
from tests.functional.clients import Starting
from tests.functional.conftest import LOYALTY_TABLE, REQUESTS_TABLE, SALES_TABLE
from tests.functional.functions import DESCRIBED, handler_of
from tests.functional.http import Client

pytestmark = pytest.mark.usefixtures("aws")

SALE_ID = "20261123T081500Z.s0001.SN1.3.1.1000"
TELLING_ID = "20261123T081730Z.s0001.till.R-1"
STATION = {"station_id": "s0002", "name": "East", "zone": "Asia/Shanghai", "grades": ["92"]}
RULE = {"rule_id": "a", "basis": "volume", "points": 1, "per": 1000, "rounding": "floor"}
PROGRAM = {"zone": "Asia/Shanghai", "rules": [RULE], "validity": None}
RULING = {"number": 1, "verdict": "none", "reason": "no_member"}
FREEZING = {"source": "ticket:1", "reason": "fraud"}
QUOTE = {
    "grade": "92",
    "unit_price_milli_per_litre": 7560,
    "volume_ml": 40_000,
    "reward_milli_per_litre": 300,
}
NOW = format_instant(datetime.now(UTC))
OF_A_POOL = {"pool_id": "p-1", "points": 1, "source": "order:1", "asked_at": NOW}
PLATE = {"kind": "plate", "value": "浙A12345"}

STAFF = "attendant manager operator"
READERS = "manager operator auditor"

# Route, path as asked, body, and the groups that get in. Where the path names a member it is
# somebody else than the caller.
ROUTES: list[tuple[str, str, Any, str]] = [
    ("POST /members", "/members", {}, f"member {STAFF}"),
    ("GET /members/{member_id}", "/members/m-1", None, READERS),
    ("PATCH /members/{member_id}", "/members/m-1", {"name": "Li"}, "manager operator"),
    ("POST /members/{member_id}/erasure", "/members/m-1/erasure", None, "operator"),
    (
        "POST /members/{member_id}/merging",
        "/members/m-1/merging",
        {"into": "m-2", "reason": "enrolled_twice"},
        "operator",
    ),
    (
        "POST /members/{member_id}/unmerging",
        "/members/m-1/unmerging",
        {"reason": "two_people"},
        "operator",
    ),
    ("GET /members/{member_id}/identities", "/members/m-1/identities", None, READERS),
    ("POST /members/{member_id}/identities", "/members/m-1/identities", PLATE, STAFF),
    (
        "DELETE /members/{member_id}/identities/{identity_id}",
        "/members/m-1/identities/plate.Uo5XbYpSWDcTYGQSP4XkFw",
        None,
        "manager operator",
    ),
    ("GET /members/{member_id}/points", "/members/m-1/points", None, READERS),
    ("GET /members/{member_id}/wallets", "/members/m-1/wallets", None, READERS),
    ("GET /members/{member_id}/entries", "/members/m-1/entries", None, READERS),
    ("GET /members/{member_id}/tier", "/members/m-1/tier", None, READERS),
    (
        "GET /members/{member_id}/entries/{entry_id}/proof",
        f"/members/m-1/entries/{SALE_ID}/proof",
        None,
        READERS,
    ),
    ("POST /members/{member_id}/presence", "/members/m-1/presence", {"station_id": "s0001"}, ""),
    ("GET /members/{member_id}/sales", "/members/m-1/sales", None, READERS),
    ("GET /members/{member_id}/questions", "/members/m-1/questions", None, STAFF),
    (
        "POST /members/{member_id}/questions/{sale_id}/confirmation",
        f"/members/m-1/questions/{SALE_ID}/confirmation",
        None,
        STAFF,
    ),
    (
        "POST /members/{member_id}/questions/{sale_id}/denial",
        f"/members/m-1/questions/{SALE_ID}/denial",
        None,
        STAFF,
    ),
    ("GET /members/{member_id}/suggestions", "/members/m-1/suggestions", None, STAFF),
    ("POST /members/{member_id}/claims", "/members/m-1/claims", {"sale_id": SALE_ID}, STAFF),
    ("GET /stations", "/stations", None, READERS),
    ("POST /stations", "/stations", STATION, "operator"),
    ("GET /stations/{station_id}", "/stations/s0001", None, READERS),
    ("PATCH /stations/{station_id}", "/stations/s0001", {"grades": ["92"]}, "operator"),
    ("POST /stations/{station_id}/certificates", "/stations/s0001/certificates", {}, "operator"),
    ("POST /stations/{station_id}/quotes", "/stations/s0001/quotes", QUOTE, STAFF),
    ("GET /programs", "/programs", None, READERS),
    ("POST /programs", "/programs", PROGRAM, "operator"),
    ("GET /programs/{version}", "/programs/1", None, READERS),
    ("PUT /programs/{version}", "/programs/1", PROGRAM, "operator"),
    ("POST /programs/{version}/validation", "/programs/1/validation", None, "operator"),
    ("POST /programs/{version}/activation", "/programs/1/activation", {}, "operator"),
    ("GET /weights", "/weights", None, "operator auditor"),
    ("POST /weights/learnings", "/weights/learnings", None, "operator"),
    ("GET /weights/{version}", "/weights/1", None, "operator auditor"),
    (
        "POST /weights/{version}/activation",
        "/weights/2/activation",
        {"replaces": 1},
        "operator",
    ),
    ("GET /sales", "/sales?queue=held", None, READERS),
    ("GET /tellings", "/tellings", None, READERS),
    (
        "POST /tellings/{telling_id}/assignment",
        f"/tellings/{TELLING_ID}/assignment",
        {"sale_id": SALE_ID},
        "manager operator",
    ),
    (
        "POST /tellings/{telling_id}/dismissal",
        f"/tellings/{TELLING_ID}/dismissal",
        None,
        "manager operator",
    ),
    ("GET /sales/{sale_id}", f"/sales/{SALE_ID}", None, READERS),
    ("GET /sales/{sale_id}/rulings", f"/sales/{SALE_ID}/rulings", None, READERS),
    ("POST /sales/{sale_id}/rulings", f"/sales/{SALE_ID}/rulings", RULING, "manager operator"),
    ("POST /sales/{sale_id}/release", f"/sales/{SALE_ID}/release", None, "manager operator"),
    (
        "POST /members/{member_id}/adjustments",
        "/members/m-1/adjustments",
        {"points": 1, "source": "ticket:1", "reason": "goodwill"},
        "manager operator",
    ),
    (
        "POST /members/{member_id}/awards",
        "/members/m-1/awards",
        {
            "budget_id": "summer",
            "points": 1,
            "asked_at": NOW,
            "source": "ticket:1",
            "reason": "apology",
        },
        "manager operator",
    ),
    (
        "POST /members/{member_id}/partner-points",
        "/members/m-1/partner-points",
        {"partner": "none", "points": 1, "document": "D-1", "issued_at": NOW},
        "operator",
    ),
    ("POST /members/{member_id}/freezing", "/members/m-1/freezing", FREEZING, "operator"),
    ("POST /members/{member_id}/unfreezing", "/members/m-1/unfreezing", FREEZING, "operator"),
    ("GET /adjustments", "/adjustments", None, READERS),
    ("POST /adjustments/{adjustment_id}/approval", "/adjustments/x/approval", None, "operator"),
    ("POST /adjustments/{adjustment_id}/rejection", "/adjustments/x/rejection", None, "operator"),
    (
        "POST /sales/{sale_id}/refunds",
        f"/sales/{SALE_ID}/refunds",
        {"document": "R-1", "refunded_at": "2026-11-23T08:15:00Z"},
        "manager operator",
    ),
    ("POST /members/{member_id}/spendings", "/members/m-1/spendings", OF_A_POOL, "operator"),
    ("POST /members/{member_id}/holds", "/members/m-1/holds", OF_A_POOL, "operator"),
    (
        "GET /members/{member_id}/holds/{hold_id}",
        f"/members/m-1/holds/x?pool_id={OF_A_POOL['pool_id']}",
        None,
        f"{STAFF} auditor",
    ),
    (
        "POST /members/{member_id}/holds/{hold_id}/capture",
        "/members/m-1/holds/x/capture",
        OF_A_POOL,
        STAFF,
    ),
    (
        "POST /members/{member_id}/holds/{hold_id}/release",
        "/members/m-1/holds/x/release",
        {name: value for name, value in OF_A_POOL.items() if name != "points"},
        STAFF,
    ),
    (
        "POST /members/{member_id}/redemptions/{entry_id}/refunds",
        "/members/m-1/redemptions/x/refunds",
        {"document": "R-1", "refunded_at": NOW},
        STAFF,
    ),
    (
        "POST /members/{member_id}/deposits",
        "/members/m-1/deposits",
        {"amount_fen": 1, "station_id": "s0001", "receipt": "R-1", "paid_at": NOW},
        STAFF,
    ),
    (
        "POST /members/{member_id}/deposits/{entry_id}/refunds",
        "/members/m-1/deposits/x/refunds",
        {"amount_fen": 1, "document": "R-1", "refunded_at": NOW},
        "manager operator",
    ),
    (
        "POST /members/{member_id}/transfers",
        "/members/m-1/transfers",
        {"to": "m-2", "points": 1, "asked_at": NOW},
        "operator",
    ),
    (
        "POST /members/{member_id}/conversions",
        "/members/m-1/conversions",
        {"into_wallet": "partner-none", "points": 1, "asked_at": NOW},
        "operator",
    ),
    ("POST /members/{member_id}/pools", "/members/m-1/pools", {}, "operator"),
    ("GET /members/{member_id}/pools", "/members/m-1/pools", None, READERS),
    ("GET /members/{member_id}/pools/{pool_id}", "/members/m-1/pools/p-1", None, READERS),
    (
        "PUT /members/{member_id}/pools/{pool_id}/members/{other_id}",
        "/members/m-1/pools/p-1/members/m-2",
        {"daily_points": 1},
        "operator",
    ),
    (
        "DELETE /members/{member_id}/pools/{pool_id}/members/{other_id}",
        "/members/m-1/pools/p-1/members/m-2",
        None,
        "operator",
    ),
    (
        "POST /members/{member_id}/pools/{pool_id}/contributions",
        "/members/m-1/pools/p-1/contributions",
        {"points": 1, "asked_at": NOW},
        "operator",
    ),
    (
        "POST /members/{member_id}/pools/{pool_id}/withdrawals",
        "/members/m-1/pools/p-1/withdrawals",
        {"points": 1, "asked_at": NOW},
        "operator",
    ),
    ("GET /budgets", "/budgets", None, READERS),
    ("POST /budgets", "/budgets", {"budget_id": "spring", "purpose": "Spring"}, "operator"),
    ("GET /budgets/{budget_id}", "/budgets/summer", None, READERS),
    (
        "POST /budgets/{budget_id}/fundings",
        "/budgets/summer/fundings",
        {"points": 1, "source": "ticket:1", "reason": "campaign"},
        "operator",
    ),
    ("POST /budgets/{budget_id}/closing", "/budgets/summer/closing", FREEZING, "operator"),
    ("POST /budgets/{budget_id}/reopening", "/budgets/summer/reopening", FREEZING, "operator"),
    ("POST /sales/{sale_id}/rejection", f"/sales/{SALE_ID}/rejection", None, "manager operator"),
]


def test_every_route_is_in_the_table() -> None:
    described = {
        f"{method.upper()} {path}"
        for path, methods in DESCRIBED["paths"].items()
        for method in methods
    }

    assert {route for route, *_ in ROUTES} == described


@pytest.mark.parametrize("group", [*Group, None])
def test_a_group_gets_into_its_routes_and_no_others(
    dynamodb: Any, group: Group | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator, "functions", Starting())
    for route, target, body, allowed in ROUTES:
        client = Client(handle=handler_of(route).handle, subject="sub-1", groups=f"[{group or ''}]")
        before = everything(dynamodb)
        method = route.split(" ")[0]
        path, _, query = target.partition("?")

        if method in WRITES:
            reply = client.write(method, path, body)
        else:
            reply = client.get(path, **dict([query.split("=")] if query else []))

        if group and group in allowed.split():
            assert reply.status < 300 or reply.code.startswith("unknown_"), (route, reply)
            continue
        refusals = {"forbidden"} if group not in {Group.MEMBER, None} else {"unknown_member"}
        if "{member_id}" not in route and route != "POST /members":
            refusals = {"forbidden"}
        assert reply.code in refusals, (route, reply)
        assert everything(dynamodb) == before, route


def everything(dynamodb: Any) -> list[Any]:
    return [
        dynamodb.scan(TableName=table)["Items"]
        for table in (LOYALTY_TABLE, SALES_TABLE, REQUESTS_TABLE)
    ]
