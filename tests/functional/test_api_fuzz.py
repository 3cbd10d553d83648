"""
Whatever is sent, the APIs answer as they describe themselves: never with a failure of ours.

Requests are made from the served description: values its schemas allow, values they do not,
and bytes that are no document at all. Every answer has a status the description lists for
that operation, and every refusal is a problem document.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecourt.adjustments import Adjustment
from forecourt.adjustments import Status as Adjusted
from forecourt.budgets_table import Budget
from forecourt.deposits import PRINCIPAL
from forecourt.instants import format_instant
from forecourt.ledger.commands import Earn, SetAside, Spend
from forecourt.pools import Pool
from forecourt.retellings import telling_id_for
from forecourt.retold_sales import RetoldSales
from forecourt.stored_sales import Status, StoredSale
from forecourt.stored_tellings import StoredTelling
from forecourt.wallets import STORED_VALUE_WALLET
from functions.members import handler as members
from functions.operator import handler as operator
from tests.functional.clients import Starting
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.functions import DESCRIBED, handler_of
from tests.functional.head_office.documents import PROGRAM, SALE, STATION
from tests.functional.http import Client
from tests.functional.tellings import TILL
from tests.functional.world import POLICIES
from tests.specimens import credited_to, earned, probably, sale

if TYPE_CHECKING:
    from tests.functional.world import World

OPERATIONS = [
    pytest.param(path, method.upper(), operation, id=f"{method.upper()} {path}")
    for path, methods in DESCRIBED["paths"].items()
    for method, operation in methods.items()
]
ASKED = sale()
# These are about a sale the member is asked about, and one that waits.
QUESTION = "/questions/{sale_id}"
SOLD = sale(transaction=77)
ADJUSTMENT = Adjustment(
    adjustment_id="20261123T081500Z.adjustment.9f86d081884c7d65",
    member_id="sub-fuzz",
    wallet="points",
    points=5000,
    expires_on=None,
    source="ticket:1",
    reason="goodwill",
    asked_by="sub-manager",
    asked_at=SOLD.recorded_at,
    status=Adjusted.WAITING,
)
BUDGET = Budget(
    budget_id="spring-2027",
    purpose="Double points in spring",
    wallet="points",
    expires_on=None,
    opened_by="sub-operator",
    opened_at=SOLD.recorded_at,
)
POOL = Pool(
    pool_id="p-1",
    wallet="points",
    head="sub-fuzz",
    limits={"sub-fuzz": None, "sub-other": 10},
    opened_at=SOLD.recorded_at,
)
HOLD_ID = "20261123T081500Z.hold.9f86d081884c7d65"
SPENT_ID = "20261123T081500Z.spend.9f86d081884c7d65"
DEPOSIT_ID = "20261123T081500Z.deposit.9f86d081884c7d65"
REFUND = {"document": "R-1", "refunded_at": "2026-11-23T08:15:00Z"}
ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=40)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
PATH_VALUES = {
    "member_id": st.sampled_from(["me", "m-1", "sub-fuzz"]),
    "identity_id": st.sampled_from(["plate.Uo5XbYpSWDcTYGQSP4XkFw", "plate"]),
    "entry_id": st.sampled_from([SALE.sale_id, "x"]),
    "station_id": st.sampled_from(["s0001", "s0002"]),
    "version": st.sampled_from(["1", "2", "0", "999999"]),
    "sale_id": st.sampled_from([SALE.sale_id, "x"]),
    "pool_id": st.sampled_from([POOL.pool_id, "x"]),
    "other_id": st.sampled_from(["sub-other", "me"]),
    "hold_id": st.sampled_from([HOLD_ID, "x"]),
    "budget_id": st.sampled_from([BUDGET.budget_id, "x"]),
    "telling_id": st.sampled_from([telling_id_for(TILL), "x"]),
    "adjustment_id": st.sampled_from([ADJUSTMENT.adjustment_id, "x"]),
}
REDEMPTION = {
    "asked_at": format_instant(datetime.now(UTC)),
    "source": "order:4711",
    "points": 1,
}
# What a verdict names depends on the verdict: no schema says so, and chance seldom hits it.
SENSIBLE: dict[str, list[dict[str, Any]]] = {
    "rule_on_sale": [{"number": 1, "verdict": "none", "reason": "no_member"}],
    "activate_weights": [{"replaces": 1}],
    "check_in": [{"station_id": "s0002"}],
    # What is asked for now is asked for today.
    "spend_points": [REDEMPTION],
    "hold_points": [REDEMPTION],
    "capture_hold": [REDEMPTION],
    "release_hold": [{name: REDEMPTION[name] for name in ("asked_at", "source")}],
    "refund_redemption": [REFUND],
    "refund_deposit": [{**REFUND, "amount_fen": 10}],
    "award_points": [
        {
            "budget_id": BUDGET.budget_id,
            "points": 1,
            "asked_at": REDEMPTION["asked_at"],
            "source": "ticket:1",
            "reason": "apology",
        }
    ],
    "issue_partner_points": [
        {
            "partner": "airline",
            "points": 1,
            "document": "MU-1",
            "issued_at": REDEMPTION["asked_at"],
        }
    ],
    "transfer_points": [{"to": "sub-other", "points": 1, "asked_at": REDEMPTION["asked_at"]}],
    "contribute": [{"points": 1, "asked_at": REDEMPTION["asked_at"]}],
    "withdraw": [{"points": 1, "asked_at": REDEMPTION["asked_at"]}],
    "merge_member": [{"into": "sub-other", "reason": "enrolled_twice"}],
}
# Only who is merged can be divided.
DIVIDED = "/members/{member_id}/unmerging"
# These are about what one member, and nobody else, has set aside.
HELD = "/holds/{hold_id}"
# Only what is some member's can be refunded, only what was spent be given back, and only what was
# paid in be paid out.
REFUNDED = "/sales/{sale_id}/refunds"
SPENT = "/redemptions/{entry_id}/refunds"
PAID_IN = "/deposits/{entry_id}/refunds"
# To unbind what is bound, its digest would have to be guessed; to be proved, an entry would have to
# be posted and its day closed; a program in force is needed for points to be converted, or a
# partner's, and for money to be paid in.
UNLIKELY = (
    "/{identity_id}",
    "/{entry_id}/proof",
    "/conversions",
    "/partner-points",
    "/deposits",
)
# As a path travels: no separators, since those make another path.
ANY_PART = st.text(st.characters(exclude_characters="/?#", codec="utf-8"), min_size=1, max_size=80)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = DESCRIBED["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def values_for(schema: dict[str, Any], *, careful: bool) -> st.SearchStrategy[Any]:
    """Return values of *schema*, or now and then one that is not unless *careful*."""
    allowed = _allowed(resolved(schema), careful=careful)
    return allowed if careful else allowed | ANY_JSON


def _allowed(schema: dict[str, Any], *, careful: bool) -> st.SearchStrategy[Any]:
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of([values_for(each, careful=careful) for each in schema["anyOf"]])
    match schema.get("type"):
        case "null":
            return st.none()
        case "integer":
            low, high = schema.get("minimum", -10), schema.get("maximum", 10**9)
            if careful and "examples" in schema:
                return st.sampled_from(schema["examples"])
            within = st.integers(low, high)
            return within if careful else within | st.sampled_from([low - 1, high + 1])
        case "array":
            least = schema.get("minItems", 0)
            items = values_for(schema["items"], careful=careful)
            return st.lists(items, min_size=least, max_size=least + 2)
        case "object":
            return _objects(schema, careful=careful)
        case _:
            return _texts(schema, careful=careful)


def _texts(schema: dict[str, Any], *, careful: bool) -> st.SearchStrategy[Any]:
    known = {"date-time": ["2026-11-23T08:15:00Z"], "date": ["1990-02-01"]}
    examples = schema.get("examples") or known.get(schema.get("format", "")) or []
    if careful and examples:
        return st.sampled_from(examples)
    pattern = schema.get("pattern")
    if pattern:
        return st.from_regex(pattern, fullmatch=True)
    return st.text(st.characters(codec="utf-8"), max_size=schema.get("maxLength", 20))


def _objects(schema: dict[str, Any], *, careful: bool) -> st.SearchStrategy[Any]:
    fields = {
        name: values_for(each, careful=careful)
        for name, each in schema.get("properties", {}).items()
        if name != "csr"  # moto, unlike AWS, fails on a request it cannot read
    }
    required = set(schema.get("required", ()))
    return st.fixed_dictionaries(
        {name: fields[name] for name in required},
        optional={name: each for name, each in fields.items() if name not in required},
    )


def bodies_for(
    operation: dict[str, Any], *, careful: bool
) -> st.SearchStrategy[str | bytes | None]:
    nonsense = st.none() | st.binary(max_size=60) | ANY_TEXT
    if "requestBody" not in operation:
        return st.none() if careful else st.just("{}") | nonsense
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    documents = _allowed(resolved(schema), careful=careful).map(json.dumps)
    if operation["operationId"] in SENSIBLE:
        documents |= st.sampled_from(SENSIBLE[operation["operationId"]]).map(json.dumps)
    return documents if careful else documents | ANY_JSON.map(json.dumps) | nonsense


@st.composite
def requests_for(draw: st.DrawFn, path: str, operation: dict[str, Any]) -> dict[str, Any]:
    careful = draw(st.booleans())

    def part(match: re.Match[str]) -> str:
        known = st.just(SOLD.sale_id) if path == REFUNDED else PATH_VALUES[match[1]]
        if HELD in path:
            known = st.just({"member_id": "m-1", "hold_id": HOLD_ID}[match[1]])
        if path.endswith(SPENT):
            known = st.just({"member_id": "m-1", "entry_id": SPENT_ID}[match[1]])
        if path.endswith(PAID_IN):
            known = st.just({"member_id": "m-1", "entry_id": DEPOSIT_ID}[match[1]])
        if path == DIVIDED:
            known = st.just("sub-twin")
        if QUESTION in path and match[1] == "sale_id":
            known = st.just(ASKED.sale_id)
        return draw(known if careful else known | ANY_PART)

    query = {
        each["name"]: draw(values_for(each["schema"], careful=careful))
        for each in operation.get("parameters", ())
        if each.get("in") == "query" and (each["required"] or draw(st.booleans()))
    }
    if careful:
        query.pop("cursor", None)
    keys = st.uuids().map(str)
    return {
        "path": re.sub(r"\{(\w+)\}", part, path),
        "raw": draw(bodies_for(operation, careful=careful)),
        "query": query,
        "headers": {
            "idempotency-key": draw(keys if careful else keys | st.just("1") | ANY_TEXT),
            **({} if careful else {"if-match": draw(st.just('"1"') | ANY_TEXT)}),
        },
    }


@pytest.fixture
def peopled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enrol a member, register a station, draft a program; hold a sale, sell one, ask about one."""
    monkeypatch.setattr(operator, "functions", Starting())
    operator_of = Client(handle=operator.handle, subject="sub-fuzz", groups="[operator]")
    member = Client(handle=members.handle, subject="sub-fuzz", groups="[member]")
    member.post("/members", {})
    operator_of.post("/stations", {**STATION, "station_id": "s0002"})
    operator_of.post("/programs", PROGRAM)
    held, sold, asked = (
        StoredSale(sale=each, status=status, received_at=each.recorded_at)
        for each, status in (
            (SALE, Status.HELD),
            (SOLD, Status.RECEIVED),
            (ASKED, Status.RECEIVED),
        )
    )
    for each in (held, sold, asked):
        world.sales.add(each)
    assert world.decided.decide(sold, credited_to("sub-fuzz"), decided_at=SOLD.recorded_at)
    assert world.decided.decide(asked, probably("sub-fuzz"), decided_at=datetime.now(UTC))
    world.post(earned("sub-fuzz", 39, sale_id=SOLD.sale_id))
    retold = RetoldSales(world.dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)
    retold.add(StoredTelling(telling=TILL, received_at=SOLD.recorded_at))
    world.adjustments.ask(ADJUSTMENT, request_id="request-1", fingerprint="f")
    world.budgets.open(BUDGET)
    world.pools.open(POOL)
    world.post(earned(POOL.owner, 50))
    world.post(earned(BUDGET.owner, 50))
    world.post(earned("m-1", 50))
    paying: dict[str, Any] = {
        "owner": "m-1",
        "points": 5,
        "source": "order:1",
        "reason": "redemption",
        "actor": "sub-fuzz",
        "occurred_at": SOLD.recorded_at,
    }
    until = datetime.now(UTC) + timedelta(days=1)
    world.post(SetAside(entry_id=HOLD_ID, hold_expires_at=until, **paying))
    world.post(Spend(entry_id=SPENT_ID, **paying))
    deposit = {**paying, "points": 500, "items": {PRINCIPAL: 500}, "wallet": STORED_VALUE_WALLET}
    world.post(Earn(entry_id=DEPOSIT_ID, expires_on=None, **deposit))
    for member_id in ("sub-other", "sub-twin"):
        world.enrol(member_id)
    world.merged.merge(
        "sub-twin",
        "sub-other",
        policies=POLICIES,
        merged_by="op",
        reason="enrolled_twice",
        merged_at=SOLD.recorded_at,
    )


@pytest.mark.usefixtures("peopled")
@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_whatever_is_sent_is_answered_as_described(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    handle = handler_of(f"{method} {path}").handle
    client = Client(handle=handle, subject="sub-fuzz", groups="[member operator]")
    succeeded = []

    @settings(
        max_examples=20,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(requests_for(path, operation))
    def answered(request: dict[str, Any]) -> None:
        reply = client.send(method, **request)

        assert str(reply.status) in operation["responses"], reply
        assert reply.status < 500, reply
        if reply.status >= 400:
            assert reply.code
        else:
            json.loads(reply.text or "{}")
            succeeded.append(reply)

    answered()
    assert succeeded or path.endswith(UNLIKELY)
