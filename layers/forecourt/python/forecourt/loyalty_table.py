"""
The Loyalty table.

| item | pk | sk |
| --- | --- | --- |
| member | `MEMBER#<member>` | `PROFILE` |
| account | `MEMBER#<member>` | `ACCOUNT#<wallet>` |
| entry, refusal, evaluation | `MEMBER#<member>` | `T#<entry id>` |
| notes of the ledger | `MEMBER#<member>` | `R#…`, `P#…`, `N#…` (`ledger_table`) |
| pool | `MEMBER#pool:<pool>` | `POOL` |
| membership in a pool | `MEMBER#<member>` | `POOL#<pool>` |
| bound identity | `MEMBER#<member>` | `IDENTITY#<kind>#<digest>` |
| identity | `IDENTITY#<kind>#<digest>` | `IDENTITY` |
| portrait | `PORTRAIT#<member>` | `PORTRAIT` |
| check-ins | `PRESENCE#<member>` | `CHECK_INS` |
| drivers of a car | `DRIVERS#plate#<digest>` | `DRIVERS` |
| block of phone numbers | `BLOCK#<digest>` | `NUMBERS` |
| which weights when | `WEIGHTS` | `TIMELINE` |
| version of the weights | `WEIGHTS` | `VERSION#<version>` |
| what weights were learnt | `WEIGHTS` | `LEARNING#<run>` |
| station | `STATIONS` | `<station>` |
| program timeline | `PROGRAM` | `TIMELINE` |
| program version | `PROGRAM` | `VERSION#<version>` |
| what a request did to the program | `PROGRAM` | `DRAFTING#<request>`, `ACTIVATING#<request>` |
| case | `CASES#<station>` | `<business day>` |
| question to a member, answer | `ASKED#<member>` | `SALE#<sale id>` |
| ruling | `RULINGS#<sale id>` | `<number>` |
| merge of two members | `MERGES#<closing member>` | `<number>` |
| adjustment by hand | `ADJUSTMENTS` | `OPEN#<id>`, `DONE#<id>`, `REQUEST#<request>` |
| budget | `BUDGETS` | `<budget>` |
| book of a closed day | `BOOKS` | `<business day>` |
| verification that ended | `VERIFICATIONS` | `<run>` |
| segment of hashing anew | `REKEYING` | `<ring>#<segment>` |

A posting is two writes, the entry and the account, and stays two: the one index is of accounts
by the first day on which something comes due, and of refunds that wait (`ledger_table`). Entry
ids begin with an instant, so the `T#` range of a member is their statement in order of time. An
*evaluation* there says that a sale was judged and earned nothing.

This module has accrual's access, `ledger_table` the ledger's, `stations_table` that to
stations and their cases, `candidates_table` and `decided_sales` matching's; `members_table`,
`identities_table` and `operator_table` have the rest, for the doors; `bookshelf`,
`budgets_table`, `pools_table`, `verification`, `rekeying_table` and `weights_table` that to
their own items, and `rekeyed_identities` changes the hashes in everybody's.

The stream feeds relay and the archive.
"""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, from_item, to_item
from forecourt.batches import batch_get
from forecourt.ledger import POINTS_WALLET, Account, Entry
from forecourt.ledger.records import (
    account_from_record,
    account_to_record,
    entry_from_record,
    entry_to_record,
)
from forecourt.ledger.refusals import AccountMerged
from forecourt.member_errors import MemberErased, MemberMerged, UnknownEntry, UnknownMember
from forecourt.timelines import activations_from_list
from forecourt.values import dataclass
from forecourt.wallets import GROWTH_WALLET

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from forecourt.timelines import Activation

# Under whom a sale was judged, and the entry it made, if it made one.
Made = tuple[str, "Entry | None"]

TIMELINE_KEY = {"pk": "PROGRAM", "sk": "TIMELINE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """
    What one round trip tells accrual: accounts by member, and the program's timeline.

    `growth` are the accounts of growth value, if these were asked for.
    """

    accounts: dict[str, Account]
    growth: dict[str, Account]
    timeline: tuple[Activation, ...]


def member_key(member_id: str) -> Item:
    """Return the key of a member's profile."""
    return to_item({"pk": f"MEMBER#{member_id}", "sk": "PROFILE"})


def account_key(member_id: str, wallet: str = POINTS_WALLET) -> Item:
    """Return the key of a member's account, the one of points unless another is named."""
    return to_item({"pk": f"MEMBER#{member_id}", "sk": f"ACCOUNT#{wallet}"})


def timeline_entry_key(member_id: str, entry_id: str) -> Item:
    """Return the key of an entry or evaluation."""
    return to_item({"pk": f"MEMBER#{member_id}", "sk": f"T#{entry_id}"})


def due_key(account: Account, *, posted_on: date | None = None) -> str | None:
    """
    Return the account's key in the index of what comes due, or `None` to be in none.

    What is due already after a posting on *posted_on* (a sale of last year earns points that
    are over) comes due the day after. So no account gets in behind the days that jobs look at.
    """
    day = account.due_on
    if day is None:
        return None
    if posted_on is not None:
        day = max(day, posted_on + timedelta(days=1))
    return due_key_of(account.member_id, day)


def due_key_of(owner: str, day: date) -> str:
    """Return the key in that index of something of *owner* that comes due on *day*."""
    return f"{day.isoformat()}#{due_letter(owner)}"


def due_letter(member_id: str) -> str:
    """Return which of sixteen parts of a day in the index a member's accounts are in."""
    return sha256(member_id.encode()).hexdigest()[0]


def account_to_item(account: Account, *, posted_on: date | None = None) -> Item:
    """Encode an account, after a posting on *posted_on*."""
    due_on = due_key(account, posted_on=posted_on)
    return account_key(account.member_id, account.wallet) | to_item(
        {"type": "account", **account_to_record(account), "due_on": due_on}
    )


def account_from_item(item: Mapping[str, Mapping[str, Any]]) -> Account:
    """Decode an account."""
    values = from_item(item)
    return account_from_record(
        values,
        member_id=values["pk"].removeprefix("MEMBER#"),
        wallet=values["sk"].removeprefix("ACCOUNT#"),
    )


def entry_to_item(entry: Entry) -> Item:
    """Encode an entry."""
    return timeline_entry_key(entry.member_id, entry.entry_id) | to_item(
        {"type": "entry", **entry_to_record(entry), "digest": entry.digest or None}
    )


def entry_from_item(item: Mapping[str, Mapping[str, Any]]) -> Entry:
    """Decode an entry."""
    values = from_item(item)
    return entry_from_record(
        values,
        member_id=values["pk"].removeprefix("MEMBER#"),
        entry_id=values["sk"].removeprefix("T#"),
        digest=values.get("digest", ""),
    )


def timeline_from_item(item: Mapping[str, Mapping[str, Any]] | None) -> tuple[Activation, ...]:
    """Decode the program's timeline; no item is a program that never began."""
    if item is None:
        return ()
    return activations_from_list(from_item(item)["activations"])


class LoyaltyTable:
    """The table *name* behind the DynamoDB client *dynamodb*: one method per access pattern."""

    def __init__(self, dynamodb: Any, *, name: str) -> None:
        self._dynamodb = dynamodb
        self._name = name

    def require_member(self, member_id: str) -> None:
        """Raise `UnknownMember` or `MemberErased` unless somebody is enrolled under that id."""
        if not self._known(member_id):
            raise UnknownMember(member_id)

    def require_present(self, member_id: str) -> None:
        """Raise as `require_member` does, and `MemberMerged` for a record that was closed."""
        item = self._known(member_id)
        if not item:
            raise UnknownMember(member_id)
        if "merged_into" in item:
            raise MemberMerged(member_id=member_id, into=item["merged_into"]["S"])

    def refuse_erased(self, member_id: str) -> None:
        """Raise `MemberErased` for somebody who asked to be forgotten."""
        self._known(member_id)

    def _known(self, member_id: str) -> Item:
        response = self._dynamodb.get_item(
            TableName=self._name,
            Key=member_key(member_id),
            ProjectionExpression="pk, erased_at, merged_into",
            ConsistentRead=True,
        )
        item: Item = response.get("Item", {})
        if "erased_at" in item:
            raise MemberErased(member_id)
        return item

    def account(self, member_id: str, wallet: str = POINTS_WALLET) -> Account:
        """Return a member's account as of now; a wallet without entries is an empty one."""
        response = self._dynamodb.get_item(
            TableName=self._name, Key=account_key(member_id, wallet), ConsistentRead=True
        )
        if "Item" not in response:
            return Account(member_id=member_id, wallet=wallet, buckets={})
        return account_from_item(response["Item"])

    def owners(self, member_id: str, *, wallet: str = POINTS_WALLET) -> list[str]:
        """
        Return whose a member's wallet was, whoever has what was in it at the end.

        Two members become one wallet by wallet, so meanwhile the answer is not the same for all.
        """
        owners = [member_id]
        while (into := self.account(owners[-1], wallet).merged_into) is not None:
            owners.append(into)
        return owners

    def entry(self, member_id: str, entry_id: str) -> Entry:
        """Return an entry; raise `UnknownEntry`, also when the id's answer moved nothing."""
        response = self._dynamodb.get_item(
            TableName=self._name, Key=timeline_entry_key(member_id, entry_id), ConsistentRead=True
        )
        if response.get("Item", {}).get("type") != {"S": "entry"}:
            raise UnknownEntry(entry_id)
        return entry_from_item(response["Item"])

    def timeline(self) -> tuple[Activation, ...]:
        """Return which version of the program is in force when, as of now."""
        response = self._dynamodb.get_item(
            TableName=self._name, Key=to_item(TIMELINE_KEY), ConsistentRead=True
        )
        return timeline_from_item(response.get("Item"))

    def standings(self, member_ids: Iterable[str], *, growth: bool = False) -> Standings:
        """
        Return the members' accounts and the program's timeline, all as of now.

        With *growth* their growth accounts as well: one more key for each member.
        """
        wanted = sorted(set(member_ids))
        wallets = (POINTS_WALLET, GROWTH_WALLET) if growth else (POINTS_WALLET,)
        accounts = {
            (member_id, wallet): Account(member_id=member_id, wallet=wallet, buckets={})
            for member_id in wanted
            for wallet in wallets
        }
        keys = [account_key(*each) for each in accounts]
        timeline = None
        for item in batch_get(
            self._dynamodb, self._name, [*keys, to_item(TIMELINE_KEY)], consistent=True
        ):
            if item["pk"]["S"] == TIMELINE_KEY["pk"]:
                timeline = item
            else:
                account = account_from_item(item)
                accounts[account.member_id, account.wallet] = account
        return Standings(
            accounts=_of_wallet(accounts, POINTS_WALLET),
            growth=_of_wallet(accounts, GROWTH_WALLET),
            timeline=timeline_from_item(timeline),
        )

    def program_document(self, version: int) -> dict[str, Any]:
        """Return the document of a program version that was activated."""
        response = self._dynamodb.get_item(
            TableName=self._name,
            Key=to_item({"pk": "PROGRAM", "sk": f"VERSION#{version:06}"}),
            ConsistentRead=True,  # kept for a container's life, so it must not be an old draft
        )
        document: dict[str, Any] = from_item(response["Item"])["document"]
        return document

    def judged(self, sales: Sequence[tuple[str, str]]) -> dict[str, Entry | None]:
        """
        Return what became of sales, given as (member id, entry id), by entry id.

        An entry, or `None` for a sale that was judged worth nothing; a sale that accrual has
        not seen is not in the answer. The entry's id is the sale's, unless a ruling gave it.
        """
        keys = [timeline_entry_key(member_id, entry_id) for member_id, entry_id in sales]
        return {
            item["sk"]["S"].removeprefix("T#"): (
                entry_from_item(item) if item["type"]["S"] == "entry" else None
            )
            for item in batch_get(self._dynamodb, self._name, keys, consistent=True)
        }

    def made(self, owners: Sequence[str], entry_id: str) -> Made | None:
        """
        Return under which of a member's *owners* an id was answered, and the entry it made.

        The last one counts: an account that was merged meanwhile refused what then went to the
        one that has its points now. That refusal alone is no answer: what it sent on may be
        under way still, and comes to the last of *owners*.
        """
        for owner in reversed(owners):
            response = self._dynamodb.get_item(
                TableName=self._name, Key=timeline_entry_key(owner, entry_id), ConsistentRead=True
            )
            item = response.get("Item")
            if item is None or item.get("code") == {"S": AccountMerged.code}:
                continue
            return owner, entry_from_item(item) if item["type"]["S"] == "entry" else None
        return None

    def answering(self, owners: Sequence[str], entry_id: str) -> str:
        """
        Return which of a member's *owners* an id is for: the last, unless one before answered.

        What was asked for before a merge has its answer where the points were then.
        """
        done = self.made(owners[:-1], entry_id)
        return done[0] if done else owners[-1]

    def worth(self, owner: str, entry_id: str) -> int:
        """
        Return what a sale was judged to be worth, whatever of it was given under that id.

        Zero for a refusal as well: what a full wallet did not take was no refund's.
        """
        response = self._dynamodb.get_item(
            TableName=self._name, Key=timeline_entry_key(owner, entry_id), ConsistentRead=True
        )
        return sum(each["points"] for each in from_item(response["Item"]).get("trace", ()))


def _of_wallet(accounts: Mapping[tuple[str, str], Account], wallet: str) -> dict[str, Account]:
    return {member_id: each for (member_id, name), each in accounts.items() if name == wallet}
