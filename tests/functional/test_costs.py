"""
What a sale costs: item sizes, round trips and units, counted and held.

Sizes are counted as `tests.item_sizes` does.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.decisions import Outcome
from forecourt.documents import MAX_RULES
from forecourt.ledger_table import LedgerTable
from forecourt.loyalty_table import LoyaltyTable
from forecourt.sales import Evidence, EvidenceKind
from forecourt.sales_table import SalesTable
from forecourt.stations_table import StationsTable
from functions.accrual.growth_accounts import GrowthAccounts
from tests.functional.assigning import assignment
from tests.functional.clients import Counting
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.tiered import tiered as tiered_program
from tests.functional.world import LITRES, sale_record
from tests.item_sizes import size
from tests.specimens import CARD, OPEN_SINCE, PLATE, SALE, sale

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forecourt.sales import Sale
    from tests.functional.world import World

PHONE = Evidence(kind=EvidenceKind.PHONE, value="13812345678")
PHONE_AT_THE_TILL = replace(PHONE, source="till")
WRONG_PHONE = Evidence(kind=EvidenceKind.PHONE, value="13812345687")
MEMBER_ID = "f3b1c7de-8a52-4a8e-9d0b-6f4f3f1f2a10"
ONE_UNIT = 1024
# A ciphertext of AWS KMS under a symmetric key is about this much longer than its plaintext;
# moto adds less.
KMS_OVERHEAD = 160
MOTO_OVERHEAD = 36 + 12 + 16


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"S": "浙A"}, 4),
        ({"N": "0"}, 1),
        ({"N": "-27"}, 3),
        ({"N": "123456789"}, 6),
        ({"B": b"123"}, 3),
        ({"BOOL": True}, 1),
        ({"SS": ["ab", "c"]}, 3),
        ({"L": [{"S": "ab"}, {"NULL": True}]}, 3 + 3 + 2),
        ({"M": {"ab": {"S": "c"}}}, 3 + 4),
    ],
)
def test_sizes_are_counted_as_published(value: dict[str, Any], expected: int) -> None:
    assert size({"a": value}) == 1 + expected


def raw(world: World, table: str, kind: str) -> dict[str, Any]:
    """Return the one item of a type, as DynamoDB keeps it."""
    items = world.dynamodb.scan(TableName=table)["Items"]
    (item,) = (each for each in items if each["type"]["S"] == kind)
    return dict(item)


def judge(
    world: World,
    context: Any,
    *,
    dynamodb: Any,
    monkeypatch: pytest.MonkeyPatch,
    sold: Sale = SALE,
) -> None:
    """Send a sale with a plate and a card all the way, every call through *dynamodb*."""
    from functions.accrual import handler as accrual  # noqa: PLC0415
    from functions.ingest import handler as ingest  # noqa: PLC0415
    from functions.matching import handler as matching  # noqa: PLC0415

    sales = SalesTable(dynamodb, name=SALES_TABLE)
    loyalty = LoyaltyTable(dynamodb, name=LOYALTY_TABLE)
    monkeypatch.setattr(ingest, "sales", sales)
    monkeypatch.setattr(ingest, "stations", StationsTable(dynamodb, name=LOYALTY_TABLE))
    monkeypatch.setattr(
        matching, "assignment", assignment(world, sales_client=dynamodb, loyalty_client=dynamodb)
    )
    monkeypatch.setattr(accrual, "loyalty", loyalty)
    monkeypatch.setattr(accrual, "ledger", LedgerTable(dynamodb, name=LOYALTY_TABLE))
    before = world.loyalty.account(MEMBER_ID).version
    ingest.handle({"Records": [sale_record(sold)]}, context)
    matching.handle({"Records": world.records(SALES_TABLE, status="received")}, context)
    accrual.handle({"Records": world.records(SALES_TABLE, status="matched")}, context)
    assert world.loyalty.account(MEMBER_ID).version == before + 1


@pytest.fixture
def prepared(world: World, told: Any, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a world with a member and a program, in containers that are warm."""
    from functions.accrual import handler as accrual  # noqa: PLC0415
    from functions.ingest import handler as ingest  # noqa: PLC0415

    world.enrol(MEMBER_ID, PLATE, CARD)
    world.activate()
    told()
    ingest.remembered_station("s0001")
    ingest.identity_keys()
    monkeypatch.setattr(accrual, "growth_accounts", GrowthAccounts())
    accrual.program.cache_clear()
    accrual.program(1)
    return world


@pytest.mark.parametrize("more", [(), (PHONE_AT_THE_TILL,)])
def test_each_item_of_a_sale_fits_into_one_unit(
    prepared: World,
    context: Any,
    more: tuple[Evidence, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for each in more:
        prepared.bind(MEMBER_ID, each)
    sold = sale(evidence=(PLATE, CARD, *more))
    judge(prepared, context, dynamodb=prepared.dynamodb, monkeypatch=monkeypatch, sold=sold)

    sizes = {
        "sale": size(raw(prepared, SALES_TABLE, "sale")) + KMS_OVERHEAD - MOTO_OVERHEAD,
        "entry": size(raw(prepared, LOYALTY_TABLE, "entry")),
        "account": size(raw(prepared, LOYALTY_TABLE, "account")),
    }

    assert max(sizes.values()) <= ONE_UNIT, sizes


def test_an_entry_under_a_program_of_a_hundred_rules_fits_into_one_unit(
    prepared: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (everything,) = LITRES["rules"]
    rules = [
        {**everything, "rule_id": f"{number:032}", "grades": [f"grade-{number}"]}
        for number in range(MAX_RULES - 1)
    ]
    hundred = {**LITRES, "rules": [*rules, everything]}
    prepared.activate(hundred, effective_at=OPEN_SINCE + timedelta(days=1))

    judge(prepared, context, dynamodb=prepared.dynamodb, monkeypatch=monkeypatch)

    entry = raw(prepared, LOYALTY_TABLE, "entry")
    assert entry["program_version"] == {"N": "2"}
    assert size(entry) <= ONE_UNIT


def test_a_sale_takes_five_round_trips(
    prepared: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = Counting(prepared.dynamodb)

    judge(prepared, context, dynamodb=counting, monkeypatch=monkeypatch)

    assert counting.calls == {
        "put_item": 1,  # the sale
        "batch_get_item": 2,  # whose plate and card; the account and the program's timeline
        "update_item": 1,  # the owner
        "transact_write_items": 1,  # the entry and the account
    }


def test_a_sale_takes_six_write_units_and_at_most_four_read_units(
    prepared: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    metered = Metered(prepared.dynamodb)

    judge(prepared, context, dynamodb=metered, monkeypatch=monkeypatch)

    assert metered.write_units == 6
    assert metered.read_units <= 4


def test_an_app_that_checked_in_costs_a_sale_with_two_identities_nothing(
    prepared: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared.presences.check_in(MEMBER_ID, SALE.key.station_id, at=SALE.key.completed_at)
    metered = Metered(Counting(prepared.dynamodb))

    judge(prepared, context, dynamodb=metered, monkeypatch=monkeypatch)

    assert metered.calls["batch_get_item"] == 2
    assert (metered.write_units, metered.read_units) == (6, 3.0)


@pytest.mark.parametrize("checked_in", [False, True])
def test_to_ask_where_a_candidate_was_is_half_a_unit_and_no_further_round_trip(
    prepared: World, told: Any, *, checked_in: bool
) -> None:
    sold = sale(evidence=(PLATE,))
    told(sold)
    if checked_in:
        prepared.presences.check_in(MEMBER_ID, SALE.key.station_id, at=SALE.key.completed_at)
    metered = Metered(Counting(prepared.dynamodb))

    assignment(prepared, loyalty_client=metered).weigh([prepared.stored(sold)])

    assert metered.calls["batch_get_item"] == 2
    # The plate; the portrait and the check-ins.
    assert metered.read_units == 0.5 + 2 * 0.5


@pytest.mark.parametrize(
    ("evidence", "look_ups"),
    [((PLATE,), 3), ((CARD,), 3), ((PHONE, PLATE), 2), ((WRONG_PHONE, PLATE), 3), ((), 0)],
)
def test_what_else_is_asked_of_a_sale_is_asked_only_if_it_may_change_something(
    prepared: World, told: Any, evidence: tuple[Evidence, ...], look_ups: int
) -> None:
    """One look-up for what was seen, one for the portraits, one consistent one at the end."""
    prepared.bind(MEMBER_ID, PHONE)
    sold = sale(evidence=evidence)
    told(sold)
    stored = prepared.stored(sold)
    counting = Counting(prepared.dynamodb)
    judging = assignment(prepared, loyalty_client=counting)

    (weighed,) = judging.weigh([stored])
    judging.assign(stored, weighed)

    credited = weighed.decision.outcome is Outcome.CREDITED
    assert counting.calls["batch_get_item"] == look_ups - credited


def test_the_due_index_is_written_when_the_first_day_changes_and_by_no_sale_after(
    prepared: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Metered(prepared.dynamodb), Metered(prepared.dynamodb)
    later = sale(transaction=4712, totalizer_ml=SALE.key.totalizer_ml + 40_000)

    judge(prepared, context, dynamodb=first, monkeypatch=monkeypatch)
    judge(prepared, context, dynamodb=second, monkeypatch=monkeypatch, sold=later)

    assert (first.write_units, first.index_units) == (6, 1)
    assert (second.write_units, second.index_units) == (6, 0)


@pytest.fixture
def tiered(prepared: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return the prepared world under a program with tiers, in containers that know it."""
    from functions.accrual import handler as accrual  # noqa: PLC0415

    prepared.activate(tiered_program(), effective_at=OPEN_SINCE + timedelta(days=1))
    accrual.program(2)
    monkeypatch.setattr(accrual, "growth_accounts", GrowthAccounts(wanted=True))
    return prepared


def test_tiers_cost_a_sale_four_write_units_one_read_unit_and_one_round_trip(
    tiered: World, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    metered = Metered(tiered.dynamodb)
    counting = Counting(metered)

    judge(tiered, context, dynamodb=counting, monkeypatch=monkeypatch)

    assert metered.write_units == 6 + 4
    assert metered.read_units <= 4 + 1
    assert counting.calls == {
        "put_item": 1,  # the sale
        "batch_get_item": 2,  # whose plate and card; both accounts and the program's timeline
        "update_item": 1,  # the owner
        "transact_write_items": 2,  # points, then growth value: an entry and an account each
    }


class Metered:
    """
    A client that adds up units by DynamoDB's published prices, for what moto does not charge.

    A write costs a unit for each KB of the larger of the item before and after, in a
    transaction two; a read half a unit for each 4 KB, a consistent one a whole. An index of keys
    costs a unit for each entry it gains and each it loses, and nothing when its key stays.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self.write_units = 0
        self.index_units = 0
        self.read_units = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_item(self, **arguments: Any) -> Any:
        self.write_units += _write_units(arguments["Item"])
        return self._client.put_item(**arguments)

    def update_item(self, **arguments: Any) -> Any:
        response = self._client.update_item(**arguments)
        key = {"TableName": arguments["TableName"], "Key": arguments["Key"]}
        after = self._client.get_item(**key, ConsistentRead=True)["Item"]
        self.write_units += _write_units(after)
        return response

    def transact_write_items(self, **arguments: Any) -> Any:
        for each in arguments["TransactItems"]:
            put = each["Put"]
            self.write_units += 2 * _write_units(put["Item"])
            key = {name: put["Item"][name] for name in ("pk", "sk")}
            before = self._client.get_item(TableName=put["TableName"], Key=key).get("Item", {})
            left, gained = before.get("due_on"), put["Item"].get("due_on")
            if left != gained:
                self.index_units += (left is not None) + (gained is not None)
        return self._client.transact_write_items(**arguments)

    def batch_get_item(self, **arguments: Any) -> Any:
        response = self._client.batch_get_item(**arguments)
        ((table, request),) = arguments["RequestItems"].items()
        found = response["Responses"][table]
        each = 1.0 if request["ConsistentRead"] else 0.5
        self.read_units += each * (len(request["Keys"]) - len(found))
        self.read_units += sum(each * -(-size(item) // 4096) for item in found)
        return response

    def get_item(self, **arguments: Any) -> Any:
        raise AssertionError(arguments)  # a warm container reads nothing else


def _write_units(item: Mapping[str, Mapping[str, Any]]) -> int:
    longer = KMS_OVERHEAD - MOTO_OVERHEAD if "sealed" in item else 0
    return -(-(size(item) + longer) // ONE_UNIT)
