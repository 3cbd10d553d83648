"""
What a member has and how it came to that: accounts and the entries behind them, to be read.

All of it lies under `MEMBER#<member>` in the Loyalty table (see `forecourt.loyalty_table`):
one `ACCOUNT#<wallet>` for each wallet, and the `T#` range in order of time. Refusals lie there
as well; they moved nothing and are on no page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, encode, from_item, to_item
from forecourt.batches import batch_get
from forecourt.ledger import POINTS_WALLET
from forecourt.loyalty_table import account_from_item, entry_from_item, timeline_entry_key
from forecourt.rulings import sale_of_entry
from forecourt.sales import is_sale_id
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from forecourt.ledger import Account, Entry

QUERIES_MAX = 8  # a page may be short; a request that never ends may not


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a sale earned its member: points, and by which rule."""

    entry_id: str
    sale_id: str
    points: int
    program_version: int | None
    trace: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A page of a member's entries and judgements, and where it goes on (`None`: at the end)."""

    items: Sequence[Item]
    last_id: str | None

    def entries(self) -> list[Entry]:
        """Return the page's entries."""
        return [entry_from_item(item) for item in self.items if item["type"]["S"] == "entry"]

    def judgements(self) -> list[Judgement]:
        """Return what the page says of sales."""
        return [judged for judged in map(_judgement, self.items) if judged]


class Statements:
    """The table *name* behind the DynamoDB client *dynamodb*, as members' statements."""

    def __init__(self, dynamodb: Any, *, name: str) -> None:
        self._dynamodb = dynamodb
        self._name = name

    def accounts(self, member_id: str) -> list[Account]:
        """Return all accounts of a member as of now, by wallet; of a wallet never used, none."""
        response = self._dynamodb.query(
            TableName=self._name,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            ExpressionAttributeValues=to_item(
                {":pk": f"MEMBER#{member_id}", ":prefix": "ACCOUNT#"}
            ),
            ConsistentRead=True,
        )
        # One page: a program has a dozen wallets, and an account is some hundred bytes.
        return [account_from_item(item) for item in response["Items"]]

    def page(
        self, member_id: str, *, limit: int, after: str | None, entries_only: bool
    ) -> Statement:
        """Return a page of what happened to a member's points, newest first."""
        arguments: dict[str, Any] = {
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
            "ExpressionAttributeValues": to_item({":pk": f"MEMBER#{member_id}", ":prefix": "T#"}),
            "ScanIndexForward": False,
        }
        if entries_only:
            arguments["FilterExpression"] = "#type = :entry"
            arguments["ExpressionAttributeNames"] = {"#type": "type"}
            arguments["ExpressionAttributeValues"][":entry"] = encode("entry")
        found: list[Item] = []
        for _ in range(QUERIES_MAX):
            if after:
                start = {"pk": f"MEMBER#{member_id}", "sk": f"T#{after}"}
                arguments["ExclusiveStartKey"] = to_item(start)
            response = self._dynamodb.query(
                TableName=self._name, Limit=limit - len(found), **arguments
            )
            found += response["Items"]
            last = response.get("LastEvaluatedKey")
            after = last["sk"]["S"].removeprefix("T#") if last else None
            if after is None or len(found) == limit:
                break
        return Statement(items=found, last_id=after)

    def judged(self, member_id: str, entry_ids: Sequence[str]) -> dict[str, Judgement]:
        """Return what those of a member's entries say of sales that there are, by id."""
        keys = [timeline_entry_key(member_id, entry_id) for entry_id in entry_ids]
        items = batch_get(self._dynamodb, self._name, keys, consistent=False) if keys else []
        return {each.entry_id: each for each in map(_judgement, items) if each}


def _judgement(item: Item) -> Judgement | None:
    """Return what *item* says a sale earned in points; of growth value it says nothing."""
    values = from_item(item)
    if values["type"] == "refusal" or values.get("wallet", POINTS_WALLET) != POINTS_WALLET:
        return None
    entry_id = values["sk"].removeprefix("T#")
    # By its id: a source is what somebody says who gives points by hand.
    sale_id = sale_of_entry(entry_id)
    if not is_sale_id(sale_id):
        return None
    if values["type"] == "entry":
        entry = entry_from_item(item)
        return Judgement(
            entry_id=entry.entry_id,
            sale_id=sale_id,
            points=entry.points,
            program_version=entry.program_version,
            trace=entry.trace,
        )
    return Judgement(
        entry_id=entry_id,
        sale_id=sale_id,
        points=0,
        program_version=values.get("program_version"),
        trace=tuple(values["trace"]),
    )
