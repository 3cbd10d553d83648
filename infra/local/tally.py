"""
Totalizers, sales, entries and balances, compared with each other.

Everything is read from the tables after the fact, and the pumps' side from the pumps. No
figure of the pipeline is used to check itself.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from forecourt.loyalty_table import account_from_item, entry_from_item
from forecourt.stored_sales import Status, sale_from_item
from forecourt.stored_tellings import telling_from_item

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from forecourt.ledger import Account, Entry
    from forecourt.stored_sales import StoredSale
    from forecourt.stored_tellings import StoredTelling
    from forecourt_simulator.station import SaleTruth, Station
    from infra.local.stack import LocalStack


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """All that the tables hold."""

    sales: dict[str, StoredSale]
    tellings: list[StoredTelling]
    entries: list[Entry]
    evaluations: list[str]
    accounts: list[Account]
    quarantined: int


@dataclass(slots=True)
class Tally:
    """What was compared, as (what, expected, found), and what is wrong."""

    rows: list[tuple[str, int, int]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def compare(self, what: str, expected: int, found: int) -> None:
        self.rows.append((what, expected, found))
        if expected != found:
            self.faults.append(f"{what}: {expected} expected, {found} found")


def read_books(stack: LocalStack) -> Books:
    """Read both tables to the end."""
    dynamodb = stack.client("dynamodb")
    sales: dict[str, StoredSale] = {}
    tellings: list[StoredTelling] = []
    quarantined = 0
    for item in _scan(dynamodb, stack.outputs["SalesTableName"]):
        kind = item["type"]["S"]
        if kind == "sale":
            stored = sale_from_item(item)
            sales[stored.sale.sale_id] = stored
        if kind == "telling":
            tellings.append(telling_from_item(item))
        quarantined += kind == "quarantined"
    entries, evaluations, accounts = [], [], []
    for item in _scan(dynamodb, stack.outputs["LoyaltyTableName"]):
        match item["type"]["S"]:
            case "entry":
                entries.append(entry_from_item(item))
            case "evaluation":
                evaluations.append(item["sk"]["S"].removeprefix("T#"))
            case "account":
                accounts.append(account_from_item(item))
    return Books(
        sales=sales,
        tellings=tellings,
        entries=entries,
        evaluations=evaluations,
        accounts=accounts,
        quarantined=quarantined,
    )


def tally(stations: Iterable[Station], truths: Sequence[SaleTruth], books: Books) -> Tally:
    """Compare what the pumps dispensed with what the platform knows."""
    result = Tally()
    told = {str(truth.sale_id): truth for truth in truths}
    result.compare("sales at the pumps, in the cloud", len(told), len(books.sales))
    result.compare(
        "litres at the pumps, in sales (ml)",
        sum(truth.sale.volume_ml for truth in truths),
        sum(stored.sale.volume_ml for stored in books.sales.values()),
    )
    result.compare(
        "amount at the pumps, in sales (fen)",
        sum(truth.sale.amount_fen for truth in truths),
        sum(stored.sale.amount_fen for stored in books.sales.values()),
    )
    _compare_totalizers(result, stations, books)
    result.faults += [f"missing: {sale_id}" for sale_id in sorted(told.keys() - books.sales.keys())]
    result.faults += [
        f"invented: {sale_id}" for sale_id in sorted(books.sales.keys() - told.keys())
    ]
    _compare_ledger(result, books)
    return result


def _compare_totalizers(result: Tally, stations: Iterable[Station], books: Books) -> None:
    moved = sold = 0
    by_nozzle: dict[tuple[str, int], int] = defaultdict(int)
    for stored in books.sales.values():
        key = stored.sale.key
        by_nozzle[key.station_id, key.nozzle] += stored.sale.volume_ml
    for station in stations:
        for number, totals in station.totals.items():
            metered = station.controller.totalizer_ml(number) - totals.totalizer_at_start_ml
            known = by_nozzle[station.station_id, number]
            moved, sold = moved + metered, sold + known
            if metered != known:
                result.faults.append(
                    f"{station.station_id} nozzle {number}: meter moved {metered} ml, "
                    f"sales have {known} ml"
                )
    result.compare("totalizers moved, litres in sales (ml)", moved, sold)


def _compare_ledger(result: Tally, books: Books) -> None:
    """Every owned sale is judged once; every balance is the sum of its entries."""
    matched = {
        sale_id for sale_id, stored in books.sales.items() if stored.status is Status.MATCHED
    }
    judged = Counter([entry.entry_id for entry in books.entries] + books.evaluations)
    result.compare("sales with an owner, judged", len(matched), judged.total())
    result.faults += [f"not judged: {sale_id}" for sale_id in sorted(matched - judged.keys())]
    result.faults += [f"judged twice: {sale_id}" for sale_id, n in judged.items() if n > 1]
    posted: dict[str, int] = defaultdict(int)
    for entry in books.entries:
        posted[entry.member_id] += entry.points
        stored = books.sales.get(entry.entry_id)
        if stored is None or stored.member_id != entry.member_id:
            result.faults.append(f"entry without its sale: {entry.entry_id}")
    held = {account.member_id: sum(account.buckets.values()) for account in books.accounts}
    result.compare("points posted, points held", sum(posted.values()), sum(held.values()))
    result.faults += [
        f"member {member_id}: entries say {posted[member_id]}, the account {held.get(member_id, 0)}"
        for member_id in sorted(posted)
        if posted[member_id] != held.get(member_id, 0)
    ]


def _scan(dynamodb: Any, table: str) -> Iterator[dict[str, Any]]:
    for page in dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield from page["Items"]
