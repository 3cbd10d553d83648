"""
Reading the ledger to verify it: whose there is, and all of one owner.

A scan of all segments of the table finds every owner, also one whose account is gone; an index
would know those only whom somebody has put there. It is eventually consistent and tells owners
only. What belongs to one is then read by itself, consistently and in the order of its sort keys:
account, parked, reversals, entries. `forecourt.ledger.verifying` says why in that order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.attributes import encode
from forecourt.batches import batch_get
from forecourt.ledger import Account, Entry
from forecourt.ledger.chain import intact
from forecourt.ledger.decisions import Parked, Reversals
from forecourt.ledger.verifying import DifferenceKind, Holdings, differences
from forecourt.ledger_items import from_ledger_item
from forecourt.loyalty_table import account_key
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forecourt.attributes import Item
    from forecourt.ledger.verifying import Difference

OWNER = "MEMBER#"
LEDGER_TYPES = frozenset({"account", "entry", "parked", "reversals"})
ITEMS_A_PAGE = 1000  # of the scan: some seconds' work, so that a step can end in time


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Owners, each once, and where the segment goes on; it ends with `None`."""

    owners: tuple[str, ...]
    next_key: Item | None


class LedgerReader:
    """The table *name* behind the DynamoDB client *dynamodb*, as somebody reads who audits it."""

    def __init__(self, dynamodb: Any, *, name: str, items_a_page: int = ITEMS_A_PAGE) -> None:
        self._dynamodb = dynamodb
        self._name = name
        self._items_a_page = items_a_page

    def owners(self, segment: int, segments: int, *, start: Item | None) -> Page:
        """Return the owners on the next page of one of *segments*."""
        response = self._dynamodb.scan(
            TableName=self._name,
            Segment=segment,
            TotalSegments=segments,
            Limit=self._items_a_page,
            ProjectionExpression="pk",
            FilterExpression="begins_with(pk, :owner)",
            ExpressionAttributeValues={":owner": encode(OWNER)},
            **({"ExclusiveStartKey": start} if start else {}),
        )
        owners = dict.fromkeys(item["pk"]["S"].removeprefix(OWNER) for item in response["Items"])
        return Page(owners=tuple(owners), next_key=response.get("LastEvaluatedKey"))

    def audit(self, owner: str) -> tuple[Holdings, list[Difference]]:
        """Return all that is *owner*'s, and what does not agree in it."""
        holdings = self.holdings(owner)
        found = differences(holdings)
        if any(each.kind is DifferenceKind.ACCOUNT_MISSING for each in found):
            # It may have been made after we looked for it.
            holdings = self.holdings(owner)
            found = differences(holdings)
        return holdings, found

    def holdings(self, owner: str) -> Holdings:
        """Return all that the ledger has of *owner*."""
        found: dict[type, list[Any]] = {Account: [], Entry: [], Parked: [], Reversals: []}
        unreadable: list[str] = []
        for item in self._items(owner):
            if item.get("type", {}).get("S") not in LEDGER_TYPES:
                continue
            read = _read(item)
            if read is None:
                unreadable.append(item["sk"]["S"])
            else:
                found[type(read)].append(read)
        return Holdings(
            owner=owner,
            accounts={account.wallet: account for account in found[Account]},
            parked=tuple(found[Parked]),
            reversals=tuple(found[Reversals]),
            entries=tuple(found[Entry]),
            unreadable=tuple(unreadable),
        )

    def versions(self, accounts: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Return how many entries accounts have now, given and returned as (owner, wallet)."""
        keys = [account_key(owner, wallet) for owner, wallet in accounts]
        items = batch_get(self._dynamodb, self._name, keys, consistent=True)
        read = [account for account in map(_read, items) if isinstance(account, Account)]
        return {(account.member_id, account.wallet): account.version for account in read}

    def entries_with(self, owner: str, wallet: str, versions: set[int]) -> list[Entry]:
        """
        Return those entries of an account that made it these *versions*, the newest first.

        One that was changed since it was posted is not among them.
        """
        wanted, found = set(versions), []
        for item in self._items(owner, prefix="T#", ScanIndexForward=False):
            entry = _read(item) if item["type"]["S"] == "entry" else None
            if not isinstance(entry, Entry) or entry.wallet != wallet:
                continue
            if entry.account_version in wanted and intact(entry):
                wanted.remove(entry.account_version)
                found.append(entry)
                if not wanted:
                    break
        return found

    def _items(self, owner: str, *, prefix: str = "", **more: Any) -> Iterator[Item]:
        condition, values = "pk = :pk", {":pk": encode(f"{OWNER}{owner}")}
        if prefix:
            condition += " AND begins_with(sk, :prefix)"
            values[":prefix"] = encode(prefix)
        arguments: dict[str, Any] = {
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ConsistentRead": True,
            **more,
        }
        while True:
            response = self._dynamodb.query(TableName=self._name, **arguments)
            yield from response["Items"]
            if "LastEvaluatedKey" not in response:
                return
            arguments["ExclusiveStartKey"] = response["LastEvaluatedKey"]


def _read(item: Item) -> object | None:
    """Return what *item* is, or `None` when it cannot be what it says."""
    try:
        return from_ledger_item(item)
    except (AttributeError, LookupError, TypeError, ValueError):
        return None
