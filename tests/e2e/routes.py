"""Every route of the API behind a token: who passes, and a call that shows it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from forecourt.callers import OWN, Permission
from forecourt.instants import format_instant
from infra.local.seed import PROGRAM
from tests.e2e.traces import PREFIX

if TYPE_CHECKING:
    from infra.local.api_client import ApiClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route: what it takes to pass, who passes, and the code of what they find missing."""

    needs: Permission
    staff: frozenset[str]
    path: str
    body: Any = None
    code: str | None = None


def route(
    needs: Permission, staff: str, path: str, body: Any = None, *, code: str | None = None
) -> Route:
    return Route(needs=needs, staff=frozenset(staff.split()), path=path, body=body, code=code)


NO_MEMBER = f"{PREFIX}nobody"
NO_SALE = f"20261123T081500Z.{PREFIX}nowhere.SN1.1.1.1"
NO_POOL = f"p-{PREFIX}nowhere"
ASKED_AT = format_instant(datetime.now(UTC))
REDEMPTION = {"pool_id": NO_POOL, "source": "order:1", "asked_at": ASKED_AT}
NO_TELLING = f"20261123T081730Z.{PREFIX}nowhere.till.R-1"

# A path's `{member}` is somebody enrolled, not the caller.  What passes and finds nothing is
# answered 404 with another code than a refusal has.
ROUTES = {
    "POST /members": route(
        Permission.ENROL, "attendant manager operator", "/members", {"name": "韩梅梅"}
    ),
    "GET /members/{member_id}": route(
        Permission.READ_MEMBERS, "manager operator auditor", "/members/{member}"
    ),
    "PATCH /members/{member_id}": route(
        Permission.CHANGE_MEMBERS, "manager operator", "/members/{member}", {"language": "zh-CN"}
    ),
    "POST /members/{member_id}/erasure": route(
        Permission.ERASE_MEMBERS, "operator", f"/members/{NO_MEMBER}/erasure", code="unknown_member"
    ),
    "POST /members/{member_id}/merging": route(
        Permission.MERGE_MEMBERS,
        "operator",
        f"/members/{NO_MEMBER}/merging",
        {"into": f"{PREFIX}nobody-else", "reason": "enrolled_twice"},
        code="unknown_member",
    ),
    "POST /members/{member_id}/unmerging": route(
        Permission.MERGE_MEMBERS,
        "operator",
        f"/members/{NO_MEMBER}/unmerging",
        {"reason": "two_people"},
        code="unknown_member",
    ),
    "GET /members/{member_id}/identities": route(
        Permission.READ_MEMBERS, "manager operator auditor", "/members/{member}/identities"
    ),
    "POST /members/{member_id}/identities": route(
        Permission.BIND_IDENTITIES,
        "attendant manager operator",
        "/members/{member}/identities",
        {"kind": "plate", "value": "浙AE2E01"},
    ),
    "DELETE /members/{member_id}/identities/{identity_id}": route(
        Permission.UNBIND_IDENTITIES,
        "manager operator",
        f"/members/{{member}}/identities/plate.{'x' * 22}",
        code="unknown_identity",
    ),
    # Staff, too, say only where they are themselves.
    "POST /members/{member_id}/presence": route(
        Permission.CHECK_IN,
        "",
        "/members/{member}/presence",
        {"station_id": f"{PREFIX}nowhere"},
        code="unknown_station",
    ),
    "GET /members/{member_id}/points": route(
        Permission.READ_MEMBERS, "manager operator auditor", "/members/{member}/points"
    ),
    "GET /members/{member_id}/wallets": route(
        Permission.READ_MEMBERS, "manager operator auditor", "/members/{member}/wallets"
    ),
    "GET /members/{member_id}/entries": route(
        Permission.READ_MEMBERS, "manager operator auditor", "/members/{member}/entries"
    ),
    "GET /members/{member_id}/tier": route(
        Permission.READ_MEMBERS, "manager operator auditor", "/members/{member}/tier"
    ),
    "GET /members/{member_id}/entries/{entry_id}/proof": route(
        Permission.READ_MEMBERS,
        "manager operator auditor",
        "/members/{member}/entries/none/proof",
        code="unknown_entry",
    ),
    "GET /members/{member_id}/sales": route(
        Permission.READ_MEMBERS, "manager operator auditor", "/members/{member}/sales"
    ),
    "GET /members/{member_id}/questions": route(
        Permission.ANSWER_QUESTIONS, "attendant manager operator", "/members/{member}/questions"
    ),
    "POST /members/{member_id}/questions/{sale_id}/confirmation": route(
        Permission.ANSWER_QUESTIONS,
        "attendant manager operator",
        f"/members/{{member}}/questions/{NO_SALE}/confirmation",
        code="unknown_question",
    ),
    "POST /members/{member_id}/questions/{sale_id}/denial": route(
        Permission.ANSWER_QUESTIONS,
        "attendant manager operator",
        f"/members/{{member}}/questions/{NO_SALE}/denial",
        code="unknown_question",
    ),
    "GET /members/{member_id}/suggestions": route(
        Permission.ANSWER_QUESTIONS, "attendant manager operator", "/members/{member}/suggestions"
    ),
    "POST /members/{member_id}/claims": route(
        Permission.ANSWER_QUESTIONS,
        "attendant manager operator",
        "/members/{member}/claims",
        {"sale_id": NO_SALE},
        code="unknown_sale",
    ),
    "GET /stations": route(Permission.READ_STATIONS, "manager operator auditor", "/stations"),
    "POST /stations": route(
        Permission.CHANGE_STATIONS,
        "operator",
        "/stations",
        {
            "station_id": f"{PREFIX}gate",
            "name": "Gate",
            "zone": "Asia/Shanghai",
            "grades": ["92"],
        },
    ),
    "GET /stations/{station_id}": route(
        Permission.READ_STATIONS,
        "manager operator auditor",
        f"/stations/{PREFIX}nowhere",
        code="unknown_station",
    ),
    "POST /stations/{station_id}/certificates": route(
        Permission.CHANGE_STATIONS,
        "operator",
        f"/stations/{PREFIX}nowhere/certificates",
        {},
        code="unknown_station",
    ),
    "POST /stations/{station_id}/quotes": route(
        Permission.QUOTE_DISCOUNTS,
        "attendant manager operator",
        f"/stations/{PREFIX}nowhere/quotes",
        {
            "grade": "92",
            "unit_price_milli_per_litre": 7_569,
            "volume_ml": 40_000,
            "reward_milli_per_litre": 300,
        },
        code="unknown_station",
    ),
    "GET /programs": route(Permission.READ_PROGRAMS, "manager operator auditor", "/programs"),
    "POST /programs": route(Permission.CHANGE_PROGRAMS, "operator", "/programs", PROGRAM),
    "GET /programs/{version}": route(
        Permission.READ_PROGRAMS,
        "manager operator auditor",
        "/programs/999999",
        code="unknown_program",
    ),
    "PUT /programs/{version}": route(
        Permission.CHANGE_PROGRAMS,
        "operator",
        "/programs/999999",
        PROGRAM,
        code="unknown_program",
    ),
    "POST /programs/{version}/validation": route(
        Permission.CHANGE_PROGRAMS,
        "operator",
        "/programs/999999/validation",
        code="unknown_program",
    ),
    "POST /programs/{version}/activation": route(
        Permission.CHANGE_PROGRAMS,
        "operator",
        "/programs/999999/activation",
        {},
        code="unknown_program",
    ),
    "GET /weights": route(Permission.READ_WEIGHTS, "operator auditor", "/weights"),
    "POST /weights/learnings": route(Permission.CHANGE_WEIGHTS, "operator", "/weights/learnings"),
    "GET /weights/{version}": route(
        Permission.READ_WEIGHTS, "operator auditor", "/weights/999999", code="unknown_weights"
    ),
    "POST /weights/{version}/activation": route(
        Permission.CHANGE_WEIGHTS,
        "operator",
        "/weights/999999/activation",
        {"replaces": 1},
        code="unknown_weights",
    ),
    "GET /sales": route(
        Permission.READ_QUEUES, "manager operator auditor", "/sales?queue=quarantined"
    ),
    "GET /tellings": route(Permission.READ_QUEUES, "manager operator auditor", "/tellings"),
    "POST /tellings/{telling_id}/assignment": route(
        Permission.DECIDE_SALES,
        "manager operator",
        f"/tellings/{NO_TELLING}/assignment",
        {"sale_id": NO_SALE},
        code="unknown_telling",
    ),
    "POST /tellings/{telling_id}/dismissal": route(
        Permission.DECIDE_SALES,
        "manager operator",
        f"/tellings/{NO_TELLING}/dismissal",
        code="unknown_telling",
    ),
    "GET /sales/{sale_id}": route(
        Permission.READ_QUEUES,
        "manager operator auditor",
        f"/sales/{NO_SALE}",
        code="unknown_sale",
    ),
    "GET /sales/{sale_id}/rulings": route(
        Permission.READ_QUEUES,
        "manager operator auditor",
        f"/sales/{NO_SALE}/rulings",
        code="unknown_sale",
    ),
    "POST /sales/{sale_id}/rulings": route(
        Permission.DECIDE_SALES,
        "manager operator",
        f"/sales/{NO_SALE}/rulings",
        {"number": 1, "verdict": "none", "reason": "no_member"},
        code="unknown_sale",
    ),
    "POST /sales/{sale_id}/release": route(
        Permission.DECIDE_SALES,
        "manager operator",
        f"/sales/{NO_SALE}/release",
        code="unknown_sale",
    ),
    "POST /members/{member_id}/adjustments": route(
        Permission.ADJUST_POINTS,
        "manager operator",
        "/members/{member}/adjustments",
        {"points": 1, "source": "ticket:1", "reason": "goodwill"},
    ),
    "POST /members/{member_id}/freezing": route(
        Permission.FREEZE_WALLETS,
        "operator",
        "/members/{member}/freezing",
        {"source": "ticket:1", "reason": "fraud"},
    ),
    "POST /members/{member_id}/unfreezing": route(
        Permission.FREEZE_WALLETS,
        "operator",
        "/members/{member}/unfreezing",
        {"source": "ticket:1", "reason": "fraud"},
    ),
    "POST /members/{member_id}/awards": route(
        Permission.AWARD_POINTS,
        "manager operator",
        "/members/{member}/awards",
        {
            "budget_id": f"{PREFIX}nowhere",
            "points": 1,
            "asked_at": ASKED_AT,
            "source": "ticket:1",
            "reason": "apology",
        },
        code="unknown_budget",
    ),
    "POST /members/{member_id}/partner-points": route(
        Permission.ISSUE_PARTNER_POINTS,
        "operator",
        "/members/{member}/partner-points",
        {"partner": "none", "points": 1, "document": "D-1", "issued_at": ASKED_AT},
        code="unknown_wallet",
    ),
    "GET /adjustments": route(
        Permission.READ_ADJUSTMENTS, "manager operator auditor", "/adjustments"
    ),
    "POST /adjustments/{adjustment_id}/approval": route(
        Permission.DECIDE_ADJUSTMENTS,
        "operator",
        f"/adjustments/{PREFIX}nowhere/approval",
        code="unknown_adjustment",
    ),
    "POST /adjustments/{adjustment_id}/rejection": route(
        Permission.DECIDE_ADJUSTMENTS,
        "operator",
        f"/adjustments/{PREFIX}nowhere/rejection",
        code="unknown_adjustment",
    ),
    "POST /sales/{sale_id}/refunds": route(
        Permission.REFUND_POINTS,
        "manager operator",
        f"/sales/20261123T081500Z.{PREFIX}nowhere.SN1.1.1.1/refunds",
        {"document": "R-1", "refunded_at": "2026-11-23T08:15:00Z"},
        code="unknown_sale",
    ),
    "POST /members/{member_id}/spendings": route(
        Permission.SPEND_POINTS,
        "operator",
        "/members/{member}/spendings",
        {**REDEMPTION, "points": 1},
        code="unknown_pool",
    ),
    "POST /members/{member_id}/holds": route(
        Permission.SPEND_POINTS,
        "operator",
        "/members/{member}/holds",
        {**REDEMPTION, "points": 1},
        code="unknown_pool",
    ),
    "GET /members/{member_id}/holds/{hold_id}": route(
        Permission.READ_HOLDS,
        "attendant manager operator auditor",
        f"/members/{{member}}/holds/none?pool_id={NO_POOL}",
        code="unknown_pool",
    ),
    "POST /members/{member_id}/holds/{hold_id}/capture": route(
        Permission.CAPTURE_HOLDS,
        "attendant manager operator",
        "/members/{member}/holds/none/capture",
        {**REDEMPTION, "points": 1},
        code="unknown_pool",
    ),
    "POST /members/{member_id}/holds/{hold_id}/release": route(
        Permission.RELEASE_HOLDS,
        "attendant manager operator",
        "/members/{member}/holds/none/release",
        REDEMPTION,
        code="unknown_pool",
    ),
    "POST /members/{member_id}/redemptions/{entry_id}/refunds": route(
        Permission.GIVE_BACK_POINTS,
        "attendant manager operator",
        "/members/{member}/redemptions/none/refunds",
        {"document": "R-1", "refunded_at": ASKED_AT},
        code="unknown_entry",
    ),
    "POST /members/{member_id}/deposits": route(
        Permission.TAKE_DEPOSITS,
        "attendant manager operator",
        "/members/{member}/deposits",
        {"amount_fen": 1, "station_id": "s0001", "receipt": "R-1", "paid_at": ASKED_AT},
        code="unknown_wallet",
    ),
    "POST /members/{member_id}/deposits/{entry_id}/refunds": route(
        Permission.REFUND_DEPOSITS,
        "manager operator",
        "/members/{member}/deposits/none/refunds",
        {"amount_fen": 1, "document": "R-1", "refunded_at": ASKED_AT},
        code="unknown_entry",
    ),
    "POST /members/{member_id}/transfers": route(
        Permission.SPEND_POINTS,
        "operator",
        "/members/{member}/transfers",
        {"to": NO_MEMBER, "points": 1, "asked_at": ASKED_AT},
        code="unknown_member",
    ),
    "POST /members/{member_id}/conversions": route(
        Permission.SPEND_POINTS,
        "operator",
        "/members/{member}/conversions",
        {"into_wallet": "partner-none", "points": 1, "asked_at": ASKED_AT},
        code="unknown_rate",
    ),
    "POST /members/{member_id}/pools": route(
        Permission.KEEP_POOLS, "operator", "/members/{member}/pools", {}
    ),
    "GET /members/{member_id}/pools": route(
        Permission.READ_MEMBERS, "manager operator auditor", "/members/{member}/pools"
    ),
    "GET /members/{member_id}/pools/{pool_id}": route(
        Permission.READ_MEMBERS,
        "manager operator auditor",
        f"/members/{{member}}/pools/{NO_POOL}",
        code="unknown_pool",
    ),
    "PUT /members/{member_id}/pools/{pool_id}/members/{other_id}": route(
        Permission.KEEP_POOLS,
        "operator",
        f"/members/{{member}}/pools/{NO_POOL}/members/{NO_MEMBER}",
        {"daily_points": 1},
        code="unknown_pool",
    ),
    "DELETE /members/{member_id}/pools/{pool_id}/members/{other_id}": route(
        Permission.KEEP_POOLS,
        "operator",
        f"/members/{{member}}/pools/{NO_POOL}/members/{NO_MEMBER}",
        code="unknown_pool",
    ),
    "POST /members/{member_id}/pools/{pool_id}/contributions": route(
        Permission.SPEND_POINTS,
        "operator",
        f"/members/{{member}}/pools/{NO_POOL}/contributions",
        {"points": 1, "asked_at": ASKED_AT},
        code="unknown_pool",
    ),
    "POST /members/{member_id}/pools/{pool_id}/withdrawals": route(
        Permission.SPEND_POINTS,
        "operator",
        f"/members/{{member}}/pools/{NO_POOL}/withdrawals",
        {"points": 1, "asked_at": ASKED_AT},
        code="unknown_pool",
    ),
    "GET /budgets": route(Permission.READ_BUDGETS, "manager operator auditor", "/budgets"),
    "POST /budgets": route(
        Permission.CHANGE_BUDGETS,
        "operator",
        "/budgets",
        {"budget_id": f"{PREFIX}spring", "purpose": "Spring"},
    ),
    "GET /budgets/{budget_id}": route(
        Permission.READ_BUDGETS,
        "manager operator auditor",
        f"/budgets/{PREFIX}nowhere",
        code="unknown_budget",
    ),
    "POST /budgets/{budget_id}/fundings": route(
        Permission.CHANGE_BUDGETS,
        "operator",
        f"/budgets/{PREFIX}nowhere/fundings",
        {"points": 1, "source": "ticket:1", "reason": "spring"},
        code="unknown_budget",
    ),
    "POST /budgets/{budget_id}/closing": route(
        Permission.CHANGE_BUDGETS,
        "operator",
        f"/budgets/{PREFIX}nowhere/closing",
        {"source": "ticket:1", "reason": "over"},
        code="unknown_budget",
    ),
    "POST /budgets/{budget_id}/reopening": route(
        Permission.CHANGE_BUDGETS,
        "operator",
        f"/budgets/{PREFIX}nowhere/reopening",
        {"source": "ticket:1", "reason": "goes_on"},
        code="unknown_budget",
    ),
    "POST /sales/{sale_id}/rejection": route(
        Permission.DECIDE_SALES,
        "manager operator",
        f"/sales/{NO_SALE}/rejection",
        code="unknown_sale",
    ),
}
PUBLIC = "GET /openapi.json"
# What names a member, and of that what members may do about themselves.
ABOUT_MEMBERS = [name for name in ROUTES if "{member_id}" in name]
OF_MEMBERS = [name for name in ABOUT_MEMBERS if ROUTES[name].needs in OWN]


def passed(route: Route, status: int, document: Any) -> bool:
    """Return whether the caller got behind the door, and what a caller there gets."""
    if route.code is None:
        return status in {200, 201, 202}
    return status == 404 and document["code"] == route.code


def call(caller: ApiClient, name: str, path: str, body: Any) -> tuple[int, Any]:
    method, _ = name.split(" ")
    key = None if method == "GET" else secrets.token_hex(8)
    return caller.send(method, path, body, key=key)
