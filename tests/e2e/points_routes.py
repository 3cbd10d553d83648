"""The routes that move points and money, by hand and at the counter, and those of budgets."""

from __future__ import annotations

from datetime import UTC, datetime

from forecourt.callers import Permission
from forecourt.instants import format_instant
from tests.e2e.route import NO_MEMBER, NO_SALE, route
from tests.e2e.traces import PREFIX

ASKED_AT = format_instant(datetime.now(UTC))
NO_POOL = f"p-{PREFIX}nowhere"
REDEMPTION = {"pool_id": NO_POOL, "source": "order:1", "asked_at": ASKED_AT}

POINTS_ROUTES = {
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
        f"/sales/{NO_SALE}/refunds",
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
}
