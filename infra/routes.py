"""The routes of the HTTP API, by the function that answers them."""

from __future__ import annotations

MEMBER_ROUTES = (
    "POST /members",
    "GET /members/{member_id}",
    "PATCH /members/{member_id}",
    "POST /members/{member_id}/erasure",
    "GET /members/{member_id}/identities",
    "POST /members/{member_id}/identities",
    "DELETE /members/{member_id}/identities/{identity_id}",
    "POST /members/{member_id}/presence",
    "GET /members/{member_id}/points",
    "GET /members/{member_id}/wallets",
    "GET /members/{member_id}/tier",
    "GET /members/{member_id}/entries",
    "GET /members/{member_id}/entries/{entry_id}/proof",
    "GET /members/{member_id}/sales",
    "GET /members/{member_id}/questions",
    "POST /members/{member_id}/questions/{sale_id}/confirmation",
    "POST /members/{member_id}/questions/{sale_id}/denial",
    "GET /members/{member_id}/suggestions",
    "POST /members/{member_id}/claims",
)
OPERATOR_ROUTES = (
    "GET /stations",
    "POST /stations",
    "GET /stations/{station_id}",
    "POST /stations/{station_id}/certificates",
    "POST /stations/{station_id}/quotes",
    "GET /programs",
    "POST /programs",
    "GET /programs/{version}",
    "PUT /programs/{version}",
    "POST /programs/{version}/validation",
    "POST /programs/{version}/activation",
    "GET /weights",
    "POST /weights/learnings",
    "GET /weights/{version}",
    "POST /weights/{version}/activation",
    "GET /sales",
    "GET /sales/{sale_id}",
    "POST /sales/{sale_id}/release",
    "POST /sales/{sale_id}/rejection",
    "GET /tellings",
    "POST /tellings/{telling_id}/assignment",
    "POST /tellings/{telling_id}/dismissal",
)
RULING_ROUTES = (
    "GET /sales/{sale_id}/rulings",
    "POST /sales/{sale_id}/rulings",
)
CORRECTION_ROUTES = (
    "POST /members/{member_id}/adjustments",
    "POST /members/{member_id}/freezing",
    "POST /members/{member_id}/unfreezing",
    "GET /adjustments",
    "POST /adjustments/{adjustment_id}/approval",
    "POST /adjustments/{adjustment_id}/rejection",
    "POST /sales/{sale_id}/refunds",
    "GET /budgets",
    "POST /budgets",
    "GET /budgets/{budget_id}",
    "POST /budgets/{budget_id}/fundings",
    "POST /budgets/{budget_id}/closing",
    "POST /budgets/{budget_id}/reopening",
)
MERGE_ROUTES = (
    "POST /members/{member_id}/merging",
    "POST /members/{member_id}/unmerging",
)
REDEMPTION_ROUTES = (
    "POST /members/{member_id}/spendings",
    "POST /members/{member_id}/holds",
    "GET /members/{member_id}/holds/{hold_id}",
    "POST /members/{member_id}/holds/{hold_id}/capture",
    "POST /members/{member_id}/holds/{hold_id}/release",
    "POST /members/{member_id}/transfers",
    "POST /members/{member_id}/conversions",
    "POST /members/{member_id}/pools",
    "GET /members/{member_id}/pools",
    "GET /members/{member_id}/pools/{pool_id}",
    "PUT /members/{member_id}/pools/{pool_id}/members/{other_id}",
    "DELETE /members/{member_id}/pools/{pool_id}/members/{other_id}",
    "POST /members/{member_id}/pools/{pool_id}/contributions",
    "POST /members/{member_id}/pools/{pool_id}/withdrawals",
)
PUBLIC_ROUTES = ("GET /openapi.json",)
