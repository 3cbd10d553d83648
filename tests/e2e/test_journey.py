"""The way of a sale as the people see it who have to do with it."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import jsonschema  # type: ignore[import-untyped]
import pytest
import urllib3
from aws_lambda_powertools.event_handler.openapi.models import OpenAPI

from forecourt.instants import business_day, day_bounds, format_instant, parse_instant
from forecourt.loyalty_table import LoyaltyTable
from forecourt.sales import EvidenceKind
from infra.local.api_client import ApiClient
from infra.local.seed import PROGRAM, activate_program
from tests.e2e.bus import heard_from
from tests.e2e.drivers import Driver
from tests.e2e.outpost import ZONE, outpost
from tests.e2e.pump import Pump, plate, this_second, told
from tests.e2e.schedules import scheduled
from tests.e2e.traces import PREFIX, nothing_left
from tests.e2e.waiting import wait_for
from tests.schemas import validator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forecourt.sales import Sale
    from infra.local.stack import LocalStack
    from tests.e2e.outpost import Outpost
    from tests.e2e.traces import Traces

# 39.99 L of 92 at ten points a litre, rounded down.
POINTS = 399
PARTS = ("identities", "points", "entries", "sales")


@pytest.fixture(scope="module", autouse=True)
def traces(stack: LocalStack, operator: ApiClient) -> Iterator[Traces]:
    """See that the program by which points are counted here is in force; undo all afterwards."""
    with nothing_left(stack) as traces:
        programs = operator.get("/programs")
        if programs["in_force"] is None:
            began = datetime.now(UTC) - timedelta(days=30)
            activate_program(operator, PROGRAM, effective_at=began)
        else:
            in_force = operator.get(f"/programs/{programs['in_force']}")
            stored = in_force["document"]["rules"]
            # What a rule does not say is kept with it.
            assert [ours | said for ours, said in zip(stored, PROGRAM["rules"], strict=True)] == (
                stored
            )
        yield traces


@pytest.fixture(scope="module")
def quay(stack: LocalStack, operator: ApiClient, traces: Traces) -> Iterator[Outpost]:  # noqa: ARG001 - first in, last out
    with outpost(stack, operator, f"{PREFIX}quay") as quay:
        yield quay


def test_a_litre_at_the_pump_becomes_points_in_the_app(
    stack: LocalStack, quay: Outpost, car: str
) -> None:
    username = f"{PREFIX}{secrets.token_hex(4)}"
    app = ApiClient(stack.api_url, stack.token("member", username))
    user = stack.client("cognito-idp").admin_get_user(
        UserPoolId=stack.outputs["UserPoolId"], Username=username
    )

    member_id = app.post("/members", {"name": "李雷", "language": "zh-CN"})["member_id"]
    driver = Driver(app=app, member_id=member_id, card="6217001234567890")
    driver.binds(car)
    driver.binds(driver.card, EvidenceKind.CARD)
    sale = quay.sell(quay.pump.sale(*driver.comes_in(car)))
    entry = driver.earned(sale)

    assert {"Name": "sub", "Value": member_id} in user["UserAttributes"]
    assert driver.points == entry["points"] == POINTS
    assert entry["source"] == f"sale:{sale.sale_id}"
    (rule,) = entry["trace"]
    assert (rule["rule"], rule["outcome"], rule["points"]) == ("petrol", "earned", POINTS)
    assert parse_instant(entry["occurred_at"]) == sale.key.completed_at
    (told_sale,) = app.get("/members/me/sales")["sales"]
    assert told_sale["sale_id"] == sale.sale_id
    assert told_sale["volume_ml"] == sale.volume_ml
    assert told_sale["points"] == POINTS
    bound = app.get("/members/me/identities")["identities"]
    assert [each["kind"] for each in bound] == ["plate", "card"]
    assert car not in json.dumps(bound, ensure_ascii=False)
    assert app.get("/members/me")["profile"]["name"] == "李雷"


def test_points_from_the_pump_pay_at_the_counter(
    stack: LocalStack, quay: Outpost, driver: Driver, car: str
) -> None:
    driver.binds(car)
    driver.earned(quay.sell(quay.pump.sale(*driver.comes_in(car))))
    till = ApiClient(stack.api_url, stack.token("attendant"))
    asked = {"asked_at": format_instant(datetime.now(UTC)), "source": "order:4711"}

    held = driver.app.post("/members/me/holds", {**asked, "points": 300})
    path = f"/members/{driver.member_id}/holds/{held['hold_id']}"
    seen, left = till.get(path), driver.points
    status, problem = till.send(
        "POST",
        f"/members/{driver.member_id}/spendings",
        {**asked, "points": 1},
        key=secrets.token_hex(8),
    )
    paid = till.post(f"{path}/capture", {**asked, "points": 250})

    refund = {"document": "R-1", "refunded_at": format_instant(datetime.now(UTC))}
    redemption = f"/members/{driver.member_id}/redemptions/{paid['entry_id']}"
    back = till.post(f"{redemption}/refunds", {**refund, "points": 100})

    assert (seen, left) == (held, POINTS - 300)
    assert (status, problem["code"]) == (403, "forbidden")
    assert (paid["kind"], paid["points"]) == ("capture", -250)
    assert (back["points"], back["left"]) == (100, 150)
    assert driver.points == POINTS - 150
    kinds = [each["kind"] for each in driver.app.get("/members/me/entries")["entries"]]
    assert sorted(kinds) == ["capture", "earn", "hold", "reverse"]


def test_the_same_message_again_and_again_changes_nothing(
    quay: Outpost, driver: Driver, traces: Traces, car: str
) -> None:
    driver.binds(car)
    sale = quay.sell(quay.pump.sale(*driver.comes_in(car)))
    driver.earned(sale)
    before = traces.settled()

    for _ in range(4):
        quay.tell(told(sale))

    assert quay.client.answers_to(sale.sale_id, count=5) == ["accepted"] * 5
    assert traces.settled() == before
    assert driver.points == POINTS


def test_an_unbound_plate_earns_no_more_and_keeps_what_it_earned(
    quay: Outpost, driver: Driver, car: str
) -> None:
    identity_id = driver.binds(car)
    before = quay.sell(quay.pump.sale(*driver.comes_in(car)))
    driver.earned(before)

    driver.app.call("DELETE", f"/members/me/identities/{identity_id}", key=secrets.token_hex(8))
    after = quay.sell(quay.pump.sale(plate(car)))

    wait_for(lambda: after.sale_id in quay.waiting("unmatched"))
    bound = driver.app.get("/members/me/identities")["identities"]
    assert [each["kind"] for each in bound] == ["card"]
    assert driver.sales == [before.sale_id]
    assert driver.points == POINTS


def test_a_new_version_judges_the_very_next_sale_and_no_earlier_one(
    quay: Outpost, operator: ApiClient, driver: Driver, car: str
) -> None:
    """Decided by when the sale was completed: one that arrives late earns what it did then."""
    driver.binds(car)
    # Of a grade nobody else buys here, so that the change is this test's alone.
    (petrol,) = (rule for rule in PROGRAM["rules"] if rule["rule_id"] == "petrol")
    doubled = petrol | {"rule_id": "doubled", "grades": ["95"], "points": 20}
    rules = [doubled, *PROGRAM["rules"]]
    former = operator.get("/programs")["in_force"]
    change = this_second() + timedelta(seconds=60)
    version = activate_program(operator, PROGRAM | {"rules": rules}, effective_at=change)
    back = change + timedelta(seconds=1)
    operator.post(f"/programs/{former}/activation", {"effective_at": format_instant(back)})

    def sold(completed_at: datetime) -> Sale:
        return quay.sell(
            quay.pump.sale(*driver.comes_in(car), grade="95", completed_at=completed_at)
        )

    after, before, later = (sold(at) for at in (change, change - timedelta(seconds=1), back))
    entry = driver.earned(after)

    assert (entry["program_version"], entry["points"]) == (version, 799)
    for sale in (before, later):
        entry = driver.earned(sale)
        assert (entry["program_version"], entry["points"]) == (former, POINTS)
    wait_for(lambda: operator.get("/programs")["in_force"] == former)


def test_a_held_sale_earns_once_it_is_released(
    quay: Outpost, operator: ApiClient, driver: Driver, car: str
) -> None:
    driver.binds(car)
    sale = quay.sell(quay.pump.sale(*driver.comes_in(car), clock_offset_seconds=900))
    seen = quay.waiting("held")[sale.sale_id]

    decided = operator.post(f"/sales/{sale.sale_id}/release")
    entry = driver.earned(sale)

    assert seen["doubts"] == ["device_clock_off"]
    assert [each["kind"] for each in seen["observed"]] == ["plate", "card"]
    assert car not in json.dumps(seen, ensure_ascii=False)
    assert decided["decision"] == "released"
    assert driver.points == entry["points"] == POINTS
    assert sale.sale_id not in quay.waiting("held")


def test_a_rejected_sale_never_earns(
    quay: Outpost, operator: ApiClient, driver: Driver, traces: Traces, car: str
) -> None:
    driver.binds(car)
    sale = quay.sell(quay.pump.sale(*driver.comes_in(car), test_delivery=True))

    operator.post(f"/sales/{sale.sale_id}/rejection")
    before = traces.settled("sales", "loyalty")
    status, problem = operator.send(
        "POST", f"/sales/{sale.sale_id}/release", key=secrets.token_hex(8)
    )

    assert (status, problem["code"]) == (409, "sale_not_held")
    assert traces.settled("sales", "loyalty") == before
    assert driver.points == 0
    assert sale.sale_id not in quay.waiting("held")


def test_the_nightly_reconciliation_finds_a_missing_sale_and_opens_a_case(
    stack: LocalStack, quay: Outpost
) -> None:
    yesterday = business_day(datetime.now(UTC), ZoneInfo(ZONE)) - timedelta(days=1)
    noon = day_bounds(yesterday, ZoneInfo(ZONE))[0] + timedelta(hours=12)
    pump = Pump(quay.station_id, nozzle=2)
    first, missing, last = (
        pump.sale(completed_at=noon + timedelta(minutes=10 * number)) for number in range(3)
    )
    for sale in (first, last):
        quay.sell(sale)

    with heard_from(stack, detail_type="CaseOpened", station_id=quay.station_id) as heard:
        found = reconciled(stack)
        event = heard()
    quay.sell(missing)
    found_later = reconciled(stack)

    assert quay.station_id in found
    assert not list(validator("bus/CaseOpened").iter_errors(event))
    (finding,) = event["detail"]["findings"]
    assert event["detail"]["business_day"] == yesterday.isoformat()
    assert finding["kind"] == "volume_without_sale"
    assert (finding["after"], finding["before"]) == (first.sale_id, last.sale_id)
    assert finding["difference_ml"] == missing.volume_ml
    assert quay.station_id not in found_later


def test_a_balance_costs_one_read_unit(
    stack: LocalStack, quay: Outpost, driver: Driver, car: str
) -> None:
    driver.binds(car)
    driver.earned(quay.sell(quay.pump.sale(*driver.comes_in(car))))
    dynamodb = stack.client("dynamodb")
    units: list[float] = []
    dynamodb.meta.events.register(
        "provide-client-params.dynamodb.*",
        lambda params, **_: params | {"ReturnConsumedCapacity": "TOTAL"},
    )
    dynamodb.meta.events.register(
        "after-call.dynamodb.*",
        lambda parsed, **_: units.append(parsed["ConsumedCapacity"]["CapacityUnits"]),
    )

    account = LoyaltyTable(dynamodb, name=stack.outputs["LoyaltyTableName"]).account(
        driver.member_id
    )

    assert sum(account.buckets.values()) == POINTS
    assert units == [1.0]


def test_the_api_describes_itself_to_everyone(stack: LocalStack) -> None:
    answer = urllib3.request("GET", f"{stack.api_url}/openapi.json")
    document = answer.json()

    assert answer.status == 200
    assert document["openapi"].startswith("3.1.")
    OpenAPI.model_validate(document)
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    api_id = stack.api_url.rsplit("/", 1)[-1]
    routes = stack.client("apigatewayv2").get_routes(ApiId=api_id)["Items"]
    described = {
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method in operations
    }
    assert described == {each["RouteKey"] for each in routes} - {"GET /openapi.json"}


def test_an_answer_fits_its_description(stack: LocalStack, driver: Driver) -> None:
    document = urllib3.request("GET", f"{stack.api_url}/openapi.json").json()

    for path in ("/members/{member_id}", *(f"/members/{{member_id}}/{part}" for part in PARTS)):
        (content,) = document["paths"][path]["get"]["responses"]["200"]["content"].values()
        schema = {**content["schema"], "components": document["components"]}
        answer = driver.app.get(path.format(member_id="me"))
        jsonschema.Draft202012Validator(schema).validate(answer)


def reconciled(stack: LocalStack) -> list[str]:
    """Do what the scheduler does each night; return the stations whose day does not agree."""
    different: list[str] = scheduled(stack, "reconciliation")["different"]
    return different
