"""
The ledger's items as they are stored: their keys, and how they are encoded.

`ledger_table` says which there are. Accounts and entries are encoded as others read them too,
in `loyalty_table`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, from_item, to_item
from forecourt.instants import format_instant, parse_instant
from forecourt.ledger import POINTS_WALLET
from forecourt.ledger.notes import (
    parked_from_record,
    parked_to_record,
    reversals_from_record,
    reversals_to_record,
)
from forecourt.ledger.procedure import (
    AccountKey,
    EntryKey,
    KeptRefusal,
    ParkedKey,
    ReversalsKey,
    ZoneKey,
)
from forecourt.loyalty_table import (
    account_from_item,
    account_key,
    due_key_of,
    entry_from_item,
    member_key,
    timeline_entry_key,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forecourt.ledger import Reversals
    from forecourt.ledger.commands import EarnNothing
    from forecourt.ledger.decisions import Parked
    from forecourt.ledger.procedure import Key

WAITS_LONG = timedelta(days=2)  # one whole business day; what overtakes a sale is hours ahead


def item_key(key: Key) -> Item:
    """Return the key in the table of what the ledger calls *key*."""
    match key:
        case AccountKey(owner=owner, wallet=wallet):
            return account_key(owner, wallet)
        case EntryKey(owner=owner, entry_id=entry_id):
            return timeline_entry_key(owner, entry_id)
        case ReversalsKey(owner=owner, entry_id=entry_id):
            return to_item({"pk": f"MEMBER#{owner}", "sk": f"R#{entry_id}"})
        case ZoneKey(owner=owner):
            return member_key(owner)
        case _:
            return to_item({"pk": f"MEMBER#{key.owner}", "sk": f"P#{key.entry_id}"})


def refusal_to_item(refusal: KeptRefusal) -> Item:
    """Encode a refusal."""
    return timeline_entry_key(refusal.owner, refusal.entry_id) | to_item(
        {
            "type": "refusal",
            "fingerprint": refusal.fingerprint,
            "code": refusal.code,
            "facts": dict(refusal.facts),
            "refused_at": format_instant(refusal.refused_at),
        }
    )


def instead_to_item(answer: KeptRefusal | EarnNothing) -> Item:
    """Encode what answers a command instead of an entry."""
    return (
        refusal_to_item(answer) if isinstance(answer, KeptRefusal) else evaluation_to_item(answer)
    )


def evaluation_to_item(command: EarnNothing) -> Item:
    """Encode that nothing is earned under an id."""
    return timeline_entry_key(command.owner, command.entry_id) | to_item(
        {
            "type": "evaluation",
            "wallet": command.wallet if command.wallet != POINTS_WALLET else None,
            "program_version": command.program_version or None,
            "trace": [dict(each) for each in command.trace],
            "occurred_at": format_instant(command.occurred_at),
        }
    )


def reversals_to_item(note: Reversals) -> Item:
    """Encode what was reversed of an entry."""
    key = item_key(ReversalsKey(note.owner, note.entry_id))
    return key | to_item({"type": "reversals", **reversals_to_record(note)})


def parked_to_item(parked: Parked) -> Item:
    """Encode reversals that wait; `WAITS_LONG` after the first came they are found as due."""
    key = item_key(ParkedKey(parked.owner, parked.entry_id))
    # What was parked before it was noted since when is in no index.
    due_on = due_key_of(parked.owner, parked.since + WAITS_LONG) if parked.since else None
    return key | to_item({"type": "parked", **parked_to_record(parked), "due_on": due_on})


def from_ledger_item(item: Mapping[str, Mapping[str, Any]]) -> object:
    """
    Decode any item of the ledger; an evaluation, which moved nothing, is its type.

    Of a member the ledger knows the zone and nothing else.
    """
    values = from_item(item)
    owner, sort = values["pk"].removeprefix("MEMBER#"), values["sk"]
    match values["type"]:
        case "account":
            return account_from_item(item)
        case "entry":
            return entry_from_item(item)
        case "refusal":
            return KeptRefusal(
                owner=owner,
                entry_id=sort.removeprefix("T#"),
                fingerprint=values["fingerprint"],
                code=values["code"],
                facts=values["facts"],
                refused_at=parse_instant(values["refused_at"]),
            )
        case "reversals":
            return reversals_from_record(values, owner=owner, entry_id=sort.removeprefix("R#"))
        case "parked":
            return parked_from_record(values, owner=owner, entry_id=sort.removeprefix("P#"))
        case "member":
            return values.get("zone")
        case other:
            return other
