"""
How a sale changes when tellings join it: one update, on condition that the sale is as it was read.

It gets their evidence and perhaps a receipt; it is held when something speaks against it, and
weighed anew when it waits for its owner and there is more to weigh.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from forecourt.as_read import same_evidence
from forecourt.attributes import to_item
from forecourt.instants import format_instant
from forecourt.retellings import Conflict
from forecourt.stored_baskets import ToldBasket, told_basket_to_map
from forecourt.stored_sales import (
    QUEUED_AS,
    Queue,
    Status,
    Told,
    evidence_to_map,
    sale_key,
    told_to_map,
)
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from forecourt.stored_sales import KeyedEvidence, StoredSale
    from forecourt.stored_tellings import StoredTelling


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """
    What is *new* to a sale, the `evidence` it has with that, and where it stands then.

    `doubts` are those it had and what speaks against it now, if something does; `basket` is the
    receipt it gets.
    """

    stored: StoredSale
    new: tuple[StoredTelling, ...]
    evidence: tuple[KeyedEvidence, ...]
    doubts: tuple[str, ...]
    status: Status
    basket: ToldBasket | None

    def update(self, table: str, *, now: datetime) -> dict[str, Any]:
        """Return the change of the sale in *table*, without what it does to the tellings."""
        changes, removed, values = self._changes(now)
        conditions, expected = self._as_read()
        return {
            "TableName": table,
            "Key": sale_key(self.stored.sale.sale_id),
            "UpdateExpression": f"SET {', '.join(changes)}{removed}",
            "ConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeNames": {
                "#status": "status",
                **({"#queue": "queue"} if "#queue" in f"{changes}{removed}" else {}),
            },
            "ExpressionAttributeValues": {**to_item(values), **expected},
        }

    def _changes(self, now: datetime) -> tuple[list[str], str, dict[str, Any]]:
        changes = ["evidence = :evidence", "doubts = :doubts", "#status = :status"]
        removed = ""
        values: dict[str, Any] = {
            ":evidence": [evidence_to_map(each) for each in self.evidence],
            ":doubts": list(self.doubts),
            ":status": self.status,
        }
        if self.new:
            joined = [Told(telling_id=each.telling_id, sealed=each.sealed) for each in self.new]
            changes.append("told = :told")
            values[":told"] = [told_to_map(each) for each in (*self.stored.told, *joined)]
        if self.basket is not None:
            changes.append("basket = :basket")
            values[":basket"] = told_basket_to_map(self.basket)
        if self.status is not self.stored.status:
            if self.status is Status.HELD:
                changes += ["#queue = :queue", "queued_at = :now"]
                values |= {":queue": Queue.HELD, ":now": format_instant(now)}
            else:
                removed = " REMOVE #queue, queued_at"
        elif self.status in QUEUED_AS:
            # What joins after the sale's evidence was forgotten is forgotten in its turn.
            changes += [
                "#queue = if_not_exists(#queue, :queue)",
                "queued_at = if_not_exists(queued_at, :now)",
            ]
            values |= {":queue": QUEUED_AS[self.status], ":now": format_instant(now)}
        return changes, removed, values

    def _as_read(self) -> tuple[list[str], dict[str, Any]]:
        stored = self.stored
        values: dict[str, Any] = {":before": stored.status}
        # Excludes a sale that was decided, or joined by a rival, since it was read.
        conditions = ["#status = :before"]
        if stored.told:
            conditions.append("size(told) = :known")
            values[":known"] = len(stored.told)
        else:
            conditions.append("attribute_not_exists(told)")
        # Excludes writing evidence that was hashed anew, or forgotten, since it was read.
        same, same_values = same_evidence(stored.evidence)
        conditions.append(same)
        if self.basket is not None:
            # Excludes a ruling since the sale was read: what is given before the receipt is known
            # is judged without it, what is given after it with it, and nothing is in between.
            conditions.append("attribute_not_exists(basket)")
            if stored.decided_at:
                conditions.append("decided_at = :decided_before")
                values[":decided_before"] = format_instant(stored.decided_at)
            else:
                conditions.append("attribute_not_exists(decided_at)")
        return conditions, {**to_item(values), **same_values}


def joining_of(
    stored: StoredSale,
    told: Sequence[StoredTelling],
    conflict: Conflict | None,
    *,
    by_person: bool,
) -> Joining | None:
    """
    Return what joins when these are *told* of a sale; `None` when that is nothing new.

    *by_person*: somebody has said that they are of this sale. Otherwise, of a telling that names no
    nozzle, nothing but amount and time says so.
    """
    known = {each.telling_id for each in stored.told}
    new = tuple(each for each in told if each.telling_id not in known)
    doubts = tuple(dict.fromkeys([*stored.doubts, *([str(conflict)] if conflict else [])]))
    if not new and len(doubts) == len(stored.doubts):
        return None
    evidence = _united(
        stored.evidence,
        *(
            tuple(replace(piece, loose=True) for piece in each.evidence)
            if each.telling.nozzle is None and not by_person
            else each.evidence
            for each in new
        ),
    )
    return Joining(
        stored=stored,
        new=new,
        evidence=evidence,
        doubts=doubts,
        status=_status_after(stored, held=conflict is not None, grew=evidence != stored.evidence),
        basket=_basket_for(stored, new, conflict),
    )


def _united(*told: Sequence[KeyedEvidence]) -> tuple[KeyedEvidence, ...]:
    """Return every piece once; told loosely and for certain it is certain."""
    pieces: dict[KeyedEvidence, KeyedEvidence] = {}
    for piece in (each for pieces_told in told for each in pieces_told):
        certain = replace(piece, loose=False)
        known = pieces.get(certain)
        pieces[certain] = piece if known is None or known.loose else known
    return tuple(pieces.values())


def _basket_for(
    stored: StoredSale, new: Sequence[StoredTelling], conflict: Conflict | None
) -> ToldBasket | None:
    """
    Return the receipt the sale gets now. It has one at most, and the first one stays.

    Of two that come at once nobody knows which it is.
    """
    if stored.basket is not None or conflict is Conflict.TOLD_TWICE:
        return None
    after = tuple(each.entry_id for each in stored.held)
    return next(
        (
            ToldBasket(basket=each.telling.basket, telling_id=each.telling_id, after=after)
            for each in new
            if each.telling.basket is not None
        ),
        None,
    )


def _status_after(stored: StoredSale, *, held: bool, grew: bool) -> Status:
    """
    Return where a sale stands when something joined it.

    Once it has an owner it keeps owner and points: the pump's figures are the ones it was
    judged by. The contradiction is written on it all the same. What a person has ruled on
    stays as ruled.
    """
    if stored.ruled is not None:
        return stored.status
    if held and stored.status in {Status.RECEIVED, Status.UNMATCHED, Status.PENDING}:
        return Status.HELD
    if grew and stored.status in {Status.UNMATCHED, Status.PENDING}:
        return Status.RECEIVED
    return stored.status
