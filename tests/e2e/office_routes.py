"""The routes about members, stations, programs, weights and sales."""

from __future__ import annotations

from forecourt.callers import Permission
from infra.local.seed import PROGRAM
from tests.e2e.route import NO_MEMBER, NO_SALE, route
from tests.e2e.traces import PREFIX

NO_TELLING = f"20261123T081730Z.{PREFIX}nowhere.till.R-1"

OFFICE_ROUTES = {
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
    "PATCH /stations/{station_id}": route(
        Permission.CHANGE_STATIONS,
        "operator",
        f"/stations/{PREFIX}nowhere",
        {"grades": ["92"]},
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
    "POST /sales/{sale_id}/rejection": route(
        Permission.DECIDE_SALES,
        "manager operator",
        f"/sales/{NO_SALE}/rejection",
        code="unknown_sale",
    ),
}
