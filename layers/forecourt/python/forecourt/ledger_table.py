"""
The ledger's part of the Loyalty table, and the one way to write it.

| item | pk | sk | written |
| --- | --- | --- | --- |
| account | `MEMBER#<owner>` | `ACCOUNT#<wallet>` | with every posting |
| entry, refusal, evaluation | `MEMBER#<owner>` | `T#<entry id>` | once, never changed |
| what was reversed of an entry | `MEMBER#<owner>` | `R#<entry id>` | with each reversal |
| reversals that wait for an entry | `MEMBER#<owner>` | `P#<entry id>` | when parked; then goes |
| reminder | `MEMBER#<owner>` | `N#<last day>#<days before>#<wallet>` | once; goes after its day |

A posting is one transaction of the first two, four write units for items up to 1 KB; a
movement between two accounts has two of each. A *refusal* is an answer that moved nothing, an
*evaluation* says that what could have earned points did not. Where a reversal could wait for
what never comes now, of an evaluation and of a refused earn, the transaction checks the account
instead of writing it, or ends what waited, with an entry for each. No index holds entries. An
account with something to come due has `due_on`, the key of a sparse index for the
expiry job: the first such day and one of sixteen letters, so that a day on which all run out is
no hot key. It changes only when that day does, and so does the index. Reversals that wait are in
the index as well, under the day from which on the first of them has waited long.
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from forecourt import contention
from forecourt.attributes import encode, from_item, to_item
from forecourt.batches import batch_get
from forecourt.instants import format_instant
from forecourt.ledger import Reversals
from forecourt.ledger.procedure import (
    AccountKey,
    Commit,
    EntryKey,
    Found,
    Keep,
    ParkedKey,
    Read,
    ReversalsKey,
    Written,
    answer_from,
    carry_out,
)
from forecourt.ledger_items import (
    from_ledger_item,
    instead_to_item,
    item_key,
    parked_to_item,
    refusal_to_item,
    reversals_to_item,
)
from forecourt.loyalty_table import (
    account_from_item,
    account_key,
    account_to_item,
    entry_to_item,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import date

    from forecourt.attributes import Item
    from forecourt.ledger import Account, Answer, Entry, Policies
    from forecourt.ledger.commands import Command
    from forecourt.ledger.decisions import Decision, Posting
    from forecourt.ledger.procedure import KeptRefusal, Key, Request
    from forecourt.reminders import Notice

DUE_INDEX = "due"
LONGEST_PAUSE_SECONDS = 1.0
REMINDERS_KEPT = timedelta(days=31)  # after their day; as long as a late job may look for them

# Failures of a single request that pass by themselves.
_BUSY = frozenset(
    {
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "TransactionInProgressException",
        # A single write in the way of somebody's transaction.
        "TransactionConflictException",
        "InternalServerError",
    }
)


def due_keys(day: date) -> list[str]:
    """Return all keys of the index that hold accounts with something to do on *day*."""
    return [f"{day.isoformat()}#{letter}" for letter in "0123456789abcdef"]


class LedgerTable:
    """The ledger in the table *name* behind the DynamoDB client *dynamodb*."""

    def __init__(
        self,
        dynamodb: Any,
        *,
        name: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._dynamodb = dynamodb
        self._name = name
        self._now = now
        self._sleep = sleep
        self._jitter = jitter

    def execute(
        self, command: Command, *, policies: Policies, account: Account | None = None
    ) -> Answer:
        """
        Carry *command* out: read, decide, one transaction; again when somebody was faster.

        The answer to a repeat is the first answer, a refusal too. *account* may be one read a
        moment ago for another purpose: it saves the first read. Raises `EntryConflict` when
        the id was used for something else, and `StaleWrite` when the table stays busy: that is
        for the platform to retry, and no answer.
        """
        procedure = carry_out(command, policies=policies)
        known: dict[Key, Any] = {}
        if account is not None:
            known[AccountKey(account.member_id, account.wallet)] = account
        response: Any = None
        while True:
            try:
                request = procedure.send(response)
            except StopIteration as stop:
                answer: Answer = stop.value
                return answer
            response = self._respond(request, known)
            known = {}

    def reversals_of(self, entry: Entry) -> Reversals:
        """Return what of *entry* was reversed by now."""
        key = ReversalsKey(entry.member_id, entry.entry_id)
        none = Reversals(owner=key.owner, entry_id=key.entry_id, given=entry.given)
        note: Reversals = self._read((key,), {}).items.get(key, none)
        return note

    def accounts(self, keys: Iterable[AccountKey], *, consistent: bool = True) -> list[Account]:
        """Return those of the accounts that there are, in one round trip for up to 100."""
        wanted = [item_key(key) for key in keys]
        items = batch_get(self._dynamodb, self._name, wanted, consistent=consistent)
        return [account_from_item(item) for item in items]

    def answered(self, key: EntryKey) -> object:
        """Return what an entry's id was used for, as of now; `None`: for nothing."""
        response = self._dynamodb.get_item(
            TableName=self._name, Key=item_key(key), ConsistentRead=True
        )
        return from_ledger_item(response["Item"]) if "Item" in response else None

    def first_answer(self, key: EntryKey, *, request: str) -> Answer | None:
        """
        Return what a request was answered that has the id *key*; `None`: it never came so far.

        For who would refuse it now, before asking the ledger. *request* is its fingerprint.
        Raises `EntryConflict` when another request had the id.
        """
        stored = self.answered(key)
        if stored is None:
            return None
        return answer_from(stored, entry_id=key.entry_id, fingerprint=request)

    def remind(self, notice: Notice, *, noticed_at: datetime) -> bool:
        """Keep that *notice* was given, which relay tells the bus. `False`: it was before."""
        last = notice.expires_on
        kept = datetime.combine(last, datetime.min.time(), UTC) + REMINDERS_KEPT
        item = {
            "pk": f"MEMBER#{notice.owner}",
            "sk": f"N#{last.isoformat()}#{notice.days_before:02}#{notice.wallet}",
            "type": "reminder",
            "wallet": notice.wallet,
            "expires_on": last.isoformat(),
            "days_before": notice.days_before,
            "points": notice.points,
            "noticed_at": format_instant(noticed_at),
            "expires_at_epoch": int(kept.timestamp()),
        }
        try:
            self._dynamodb.put_item(
                TableName=self._name,
                Item=to_item(item),
                # Excludes a second reminder of the same day, however the points changed since.
                ConditionExpression="attribute_not_exists(pk)",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def due(self, key: str) -> Iterator[AccountKey | ParkedKey]:
        """
        Yield what is under one of `due_keys`, from the index, page by page.

        Accounts, and what waits for a sale and has waited long.
        """
        arguments: dict[str, Any] = {
            "IndexName": DUE_INDEX,
            "KeyConditionExpression": "due_on = :key",
            "ExpressionAttributeValues": {":key": encode(key)},
        }
        while True:
            response = self._dynamodb.query(TableName=self._name, **arguments)
            for values in map(from_item, response["Items"]):
                owner, sort = values["pk"].removeprefix("MEMBER#"), values["sk"]
                if sort.startswith("P#"):
                    yield ParkedKey(owner, sort.removeprefix("P#"))
                else:
                    yield AccountKey(owner, sort.removeprefix("ACCOUNT#"))
            if "LastEvaluatedKey" not in response:
                return
            arguments["ExclusiveStartKey"] = response["LastEvaluatedKey"]

    def _respond(self, request: Request, known: Mapping[Key, Any]) -> Any:
        match request:
            case Read(keys=keys):
                return self._read(keys, known)
            case Commit(decision=decision):
                return self._commit(decision)
            case Keep(refusal=refusal):
                return self._keep(refusal)
            case _:
                longer = contention.FIRST_PAUSE_SECONDS * 2**request.attempt
                pause = min(longer, LONGEST_PAUSE_SECONDS)
                self._sleep(pause * self._jitter())
                return ()

    def _read(self, keys: tuple[Key, ...], known: Mapping[Key, Any]) -> Found:
        if set(keys) == set(known):
            return Found(known, self._now())
        wanted = {_plain(item_key(key)): key for key in keys}
        if len(keys) == 1:
            response = self._dynamodb.get_item(
                TableName=self._name, Key=item_key(keys[0]), ConsistentRead=True
            )
            items = [response["Item"]] if "Item" in response else []
        else:
            items = batch_get(
                self._dynamodb, self._name, [item_key(key) for key in keys], consistent=True
            )
        found = {wanted[_plain(item)]: from_ledger_item(item) for item in items}
        return Found(found, self._now())

    def _keep(self, refusal: KeptRefusal) -> Written:
        try:
            self._dynamodb.put_item(
                TableName=self._name,
                Item=refusal_to_item(refusal),
                # Excludes a refusal beside the entry an earlier attempt made.
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return Written(done=False, stored=from_ledger_item(error.response["Item"]))
            return _busy(error)
        return Written(done=True)

    def _commit(self, decision: Decision) -> Written:
        try:
            self._dynamodb.transact_write_items(TransactItems=self._writes(decision))
        except ClientError as error:
            reasons = error.response.get("CancellationReasons")
            if not reasons:
                return _busy(error)
            if reasons[0]["Code"] == "ConditionalCheckFailed":
                return Written(done=False, stored=from_ledger_item(reasons[0]["Item"]))
            if contention.passing({reason["Code"] for reason in reasons}):
                return Written(done=False)
            raise
        return Written(done=True)

    def _writes(self, decision: Decision) -> list[dict[str, Any]]:
        """Return the transaction: the answer to the command first, its condition is the id."""
        writes: list[dict[str, Any]] = []
        if decision.instead is not None:
            item = instead_to_item(decision.instead)
            # Excludes a second answer to the same command, and a zero beside an entry.
            writes.append(self._put(item, ConditionExpression="attribute_not_exists(pk)"))
        for posting in decision.postings:
            writes += [
                # Excludes a second answer to the same command.
                self._put(entry_to_item(entry), ConditionExpression="attribute_not_exists(pk)")
                for entry in posting.entries
            ]
            writes.append(self._put_account(posting))
        note, parked = decision.reversals, decision.parked
        if note is not None:
            # Excludes two reversals, through two accounts, that do not know of each other.
            unchanged = _unchanged("version", note.version - 1)
            writes.append(self._put(reversals_to_item(note), **unchanged))
        if parked is not None:
            # Excludes losing a reversal that was parked meanwhile.
            unchanged = _unchanged("parked_count", decision.parked_before)
            if parked.commands:
                writes.append(self._put(parked_to_item(parked), **unchanged))
            else:
                key = item_key(ParkedKey(parked.owner, parked.entry_id))
                writes.append({"Delete": {"TableName": self._name, "Key": key, **unchanged}})
        if decision.unmoved is not None:
            account = decision.unmoved
            check = {
                "TableName": self._name,
                "Key": account_key(account.member_id, account.wallet),
                # Excludes a reversal parked meanwhile for what never comes, or where it went.
                **_unchanged("version", account.version),
            }
            writes.append({"ConditionCheck": check})
        if decision.absent is not None:
            check = {
                "TableName": self._name,
                "Key": item_key(EntryKey(*decision.absent)),
                # Excludes parking a reversal behind the back of what it waits for.
                "ConditionExpression": "attribute_not_exists(pk)",
            }
            writes.append({"ConditionCheck": check})
        return writes

    def _put_account(self, posting: Posting) -> dict[str, Any]:
        account = posting.account
        # Excludes a posting that another one overtook.
        item = account_to_item(account, posted_on=posting.entries[-1].posted_on)
        return self._put(item, **_unchanged("version", posting.before))

    def _put(self, item: Item, **condition: Any) -> dict[str, Any]:
        return {
            "Put": {
                "TableName": self._name,
                "Item": item,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                **condition,
            }
        }


def _unchanged(attribute: str, before: int) -> dict[str, Any]:
    if before == 0:
        return {"ConditionExpression": "attribute_not_exists(pk)"}
    return {
        "ConditionExpression": "#counter = :before",
        "ExpressionAttributeNames": {"#counter": attribute},
        "ExpressionAttributeValues": {":before": encode(before)},
    }


def _busy(error: ClientError) -> Written:
    """Return that nothing was written when *error* passes by itself; raise it otherwise."""
    if error.response["Error"]["Code"] in _BUSY:
        return Written(done=False)
    raise error


def _plain(item: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]
