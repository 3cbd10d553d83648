"""
Letting the tellings of till and payment provider join the sale they tell of.

Both sides are written first and look for the other afterwards, consistently, so whichever
comes second finds the first. A sale is joined on condition that it is as it was read: of two
tellings that come at once, one reads again. What joins brings evidence, and a sale that
waits for its owner is weighed anew. What contradicts a sale nobody has yet holds it, and does
not join it: it may be the next car's, whose sale is still on its way. When that sale comes and the
telling joins it, the one before is let go. So may a telling that names
no nozzle and joins by amount and time alone: what it brings identifies nobody by itself.

What finds no sale is queued for a person, on condition that none has found it meanwhile. It
still joins the sale that comes, and leaves the queue in the same transaction; what a person
has decided about it stays so.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, to_item
from forecourt.contention import until_settled
from forecourt.errors import SaleNotRulable, StaleWrite, TellingSettled, UnknownSale, UnknownTelling
from forecourt.instants import compact_instant, format_instant
from forecourt.joining import joining_of
from forecourt.retellings import (
    WINDOW,
    Conflict,
    OneSale,
    Source,
    difference,
    may_be_one,
    sale_of,
)
from forecourt.stored_sales import (
    Status,
    sale_from_item,
    sale_key,
)
from forecourt.stored_tellings import (
    QUEUE,
    telling_from_item,
    telling_key,
    telling_to_item,
    told_by_pump,
)
from forecourt.taking_back import TakingBack
from forecourt.transactions import transact

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from forecourt.retellings import Telling
    from forecourt.stored_sales import StoredSale
    from forecourt.stored_tellings import StoredTelling

# What a telling may contradict.
_FIGURES = (Conflict.AMOUNT_DIFFERS, Conflict.VOLUME_DIFFERS)
# A telling's sale is at most one window away, and that sale's other tellings one more.
AROUND = 2 * WINDOW

_WAITS = "attribute_not_exists(sale_id) AND attribute_not_exists(decided_by)"
# Excludes a telling that has joined a sale, or was decided about, since it was read, and making
# an item of a name.
_UNSETTLED = f"attribute_exists(pk) AND {_WAITS}"


class RetoldSales:
    """The tables *sales* and *loyalty* (names) behind the DynamoDB client *dynamodb*."""

    def __init__(self, dynamodb: Any, *, sales: str, loyalty: str) -> None:
        self._dynamodb = dynamodb
        self._sales = sales
        self._taking_back = TakingBack(dynamodb, name=loyalty)

    def add(self, telling: StoredTelling) -> StoredTelling | None:
        """Store a telling once; a repeat writes nothing and returns what is there already."""
        try:
            self._dynamodb.put_item(
                TableName=self._sales,
                Item=telling_to_item(telling),
                # Excludes a repeat: the station tells everything until it is acknowledged.
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as refusal:
            return telling_from_item(refusal.response["Item"])
        return None

    def telling(self, telling_id: str) -> StoredTelling:
        """Return one telling, as of now; raise `UnknownTelling`."""
        response = self._dynamodb.get_item(
            TableName=self._sales, Key=telling_key(telling_id), ConsistentRead=True
        )
        if "Item" not in response:
            raise UnknownTelling(telling_id)
        return telling_from_item(response["Item"])

    def reunite(self, subject: Telling, *, now: datetime) -> OneSale:
        """
        Let what is told around *subject* join its sale; return that sale as it is told.

        A telling that finds none is queued for a person.
        """

        def attempt() -> OneSale:
            if subject.source is Source.PUMP and not self._awaited(subject):
                return OneSale(tellings=(subject,))
            tellings = {
                each.telling: each
                for each in map(telling_from_item, self._around(subject, "TELLING"))
                if each.decided_by is None
            }
            if subject.source is not Source.PUMP and subject not in tellings:
                return OneSale(tellings=(subject,))  # a person has said where it belongs
            sales = {
                each.sale.sale_id: each
                for each in map(sale_from_item, self._around(subject, "SALE"))
                if each.sale.dispensed
            }
            one = sale_of(subject, [*map(told_by_pump, sales.values()), *tellings])
            if one.pump is None:
                self._queue(tellings[subject], one.held_because)
                return one
            sale_id = one.pump.told_id
            differs = {
                each: difference(one.pump, each, paid=one.paid)
                for each in one.tellings
                if each in tellings and tellings[each].sale_id in {None, sale_id}
            }
            told = [tellings[each] for each, why in differs.items() if why is None]
            self._join(sales[sale_id], told, one.contradicted_by, now=now)
            for each, why in differs.items():
                if why is not None:
                    self._queue(tellings[each], why)
            if subject.source is Source.PUMP and told:
                self._let_go(sales.values(), [each.telling for each in told], tellings, subject)
            return one

        return until_settled(attempt)

    def unite(self, telling_id: str, sale_id: str, *, actor: str, decided_at: datetime) -> None:
        """
        Let a telling join the sale that *actor* says it tells of; what differs holds nothing.

        Raise `UnknownTelling`, `UnknownSale` (at another station, too), `TellingSettled`, or
        `SaleNotRulable` for a sale without a drop, of which nobody tells.
        """

        def attempt() -> None:
            telling = self._unsettled(telling_id)
            stored = self._sale(sale_id)
            if stored.sale.key.station_id != telling.telling.station_id:
                raise UnknownSale(sale_id)
            if not stored.sale.dispensed:
                raise SaleNotRulable(sale_id=sale_id, status=str(stored.status))
            self._join(stored, [telling], None, now=decided_at, actor=actor)

        until_settled(attempt)

    def dismiss(self, telling_id: str, *, actor: str, decided_at: datetime) -> None:
        """
        Write that there was no sale; whoever the telling named is forgotten with it.

        Raise `UnknownTelling` or `TellingSettled`.
        """
        self._unsettled(telling_id)
        try:
            self._dynamodb.update_item(
                TableName=self._sales,
                Key=telling_key(telling_id),
                UpdateExpression=(
                    "SET decided_by = :actor, decided_at = :now "
                    "REMOVE #queue, queued_at, waits_because, evidence, sealed"
                ),
                ConditionExpression=_UNSETTLED,
                ExpressionAttributeNames={"#queue": "queue"},
                ExpressionAttributeValues=to_item(
                    {":actor": actor, ":now": format_instant(decided_at)}
                ),
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            raise self._settled(telling_id) from None

    def _sale(self, sale_id: str) -> StoredSale:
        response = self._dynamodb.get_item(
            TableName=self._sales, Key=sale_key(sale_id), ConsistentRead=True
        )
        if "Item" not in response:
            raise UnknownSale(sale_id)
        return sale_from_item(response["Item"])

    def _unsettled(self, telling_id: str) -> StoredTelling:
        telling = self.telling(telling_id)
        if telling.settled:
            raise TellingSettled(telling_id=telling_id, sale_id=telling.sale_id)
        return telling

    def _settled(self, telling_id: str) -> TellingSettled:
        return TellingSettled(telling_id=telling_id, sale_id=self.telling(telling_id).sale_id)

    def _queue(self, telling: StoredTelling, because: Conflict | None) -> None:
        """Let a telling that was looked for in vain wait for a person, since it came."""
        if telling.settled or (telling.queued and telling.waits_because is because):
            return
        expression = "SET #queue = :queue, queued_at = :since"
        values = {":queue": QUEUE, ":since": format_instant(telling.received_at)}
        if because is None:
            expression += " REMOVE waits_because"
        else:
            expression += ", waits_because = :because"
            values[":because"] = str(because)
        with suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
            self._dynamodb.update_item(
                TableName=self._sales,
                Key=telling_key(telling.telling_id),
                UpdateExpression=expression,
                ConditionExpression=_UNSETTLED,
                ExpressionAttributeNames={"#queue": "queue"},
                ExpressionAttributeValues=to_item(values),
            )

    def _join(
        self,
        stored: StoredSale,
        told: Sequence[StoredTelling],
        conflict: Conflict | None,
        *,
        now: datetime,
        actor: str | None = None,
    ) -> None:
        joining = joining_of(stored, told, conflict, by_person=actor is not None)
        if joining is None:
            return
        sale_id = stored.sale.sale_id
        update = joining.update(self._sales, now=now)
        writes: list[dict[str, Any]] = [{"Update": update}]
        # What they have answered stays: it is counted with whatever comes.
        asked = stored.asked if stored.asked not in stored.claimed_by else None
        if asked and joining.status is not stored.status:
            writes = self._taking_back.with_question(update, asked, sale_id)
        for each in joining.new:
            writes.append({"Update": self._joined(each, sale_id, now=now, actor=actor)})
        if transact(self._dynamodb, writes):
            raise StaleWrite

    def _let_go(
        self,
        sales: Collection[StoredSale],
        joined: Sequence[Telling],
        tellings: Collection[Telling],
        subject: Telling,
    ) -> None:
        """
        Let the sales be weighed that were held because of what has *joined* another one now.

        They were the sales of the car before. One against which something else speaks stays held,
        and so does one of which not everything around was read, or that a run which died did not
        reach: a person decides about these, as about any other.
        """
        told = [told_by_pump(each) for each in sales]
        for stored in sales:
            pump = told_by_pump(stored)
            held_by_these = any(
                may_be_one(pump, each) and str(difference(pump, each)) in stored.doubts
                for each in joined
            )
            if (
                stored.status is Status.HELD
                and stored.ruled is None
                and held_by_these
                and may_be_one(pump, subject)
                and set(stored.doubts) <= {str(each) for each in _FIGURES}
                and sale_of(pump, [*told, *tellings]).contradicted_by is None
            ):
                self._release(stored)

    def _release(self, stored: StoredSale) -> None:
        try:
            self._dynamodb.update_item(
                TableName=self._sales,
                Key=sale_key(stored.sale.sale_id),
                UpdateExpression="SET #status = :received, doubts = :none REMOVE #queue, queued_at",
                # Excludes a sale that a person has decided, or that is doubted more, meanwhile.
                ConditionExpression="#status = :held AND doubts = :doubts",
                ExpressionAttributeNames={"#status": "status", "#queue": "queue"},
                ExpressionAttributeValues=to_item(
                    {
                        ":received": Status.RECEIVED,
                        ":held": Status.HELD,
                        ":doubts": list(stored.doubts),
                        ":none": [],
                    }
                ),
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            raise StaleWrite from None

    def _joined(
        self, telling: StoredTelling, sale_id: str, *, now: datetime, actor: str | None
    ) -> dict[str, Any]:
        """Return the change that says of a telling which sale it has joined, and by whose word."""
        expression, values = "SET sale_id = :sale", {":sale": sale_id}
        if actor is not None:
            expression += ", decided_by = :actor, decided_at = :now"
            values |= {":actor": actor, ":now": format_instant(now)}
        return {
            "TableName": self._sales,
            "Key": telling_key(telling.telling_id),
            "UpdateExpression": f"{expression} REMOVE #queue, queued_at, waits_because",
            "ConditionExpression": _UNSETTLED,
            "ExpressionAttributeNames": {"#queue": "queue"},
            "ExpressionAttributeValues": to_item(values),
        }

    def _awaited(self, subject: Telling) -> bool:
        """Return whether a telling waits for a sale of this nozzle, or of any."""
        waiting = map(telling_from_item, self._around(subject, "TELLING", _WAITS))
        return any(may_be_one(subject, each.telling) for each in waiting)

    def _around(self, subject: Telling, kind: str, only: str | None = None) -> list[Item]:
        """Return what is told of the time around *subject*, all or *only* what a filter says."""
        arguments: dict[str, Any] = {
            **({"FilterExpression": only} if only else {}),
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :low AND :high",
            "ExpressionAttributeValues": to_item(
                {
                    ":pk": f"STATION#{subject.station_id}",
                    ":low": f"{kind}#{compact_instant(subject.at - AROUND)}",
                    # An id goes on after its instant and sorts behind the bare instant.
                    ":high": f"{kind}#{compact_instant(subject.at + AROUND)}~",
                }
            ),
            "ConsistentRead": True,
        }
        found: list[Item] = []
        while True:
            response = self._dynamodb.query(TableName=self._sales, **arguments)
            found += response["Items"]
            if "LastEvaluatedKey" not in response:
                return found
            arguments["ExclusiveStartKey"] = response["LastEvaluatedKey"]
