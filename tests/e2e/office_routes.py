"""The routes about everything else: stations, programs, sales, corrections and budgets."""

from __future__ import annotations

from forecourt.callers import Permission
from infra.local.seed import PROGRAM
from tests.e2e.route import NO_SALE, route
from tests.e2e.traces import PREFIX

NO_TELLING = f"20261123T081730Z.{PREFIX}nowhere.till.R-1"

OFFICE_ROUTES = {
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
