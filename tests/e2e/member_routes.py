"""The routes about members: what they have, what they say and what they spend."""

from __future__ import annotations

from forecourt.callers import Permission
from tests.e2e.route import ASKED_AT, NO_MEMBER, NO_SALE, route
from tests.e2e.traces import PREFIX

NO_POOL = f"p-{PREFIX}nowhere"
REDEMPTION = {"pool_id": NO_POOL, "source": "order:1", "asked_at": ASKED_AT}

MEMBER_ROUTES = {
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
}
