"""
What the bus is told: one event per committed change of the Loyalty table.

An event is derived from the stream record of the change, so the two cannot disagree, and a
record that comes twice gives the same event with the same `event_id`. Nothing personal is
in any of them: identities appear as keyed hashes.

Every detail type has a schema and a sample under `events/bus/`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from forecourt.attributes import from_item
from forecourt.instants import format_instant
from forecourt.ledger.refusals import CeilingExceeded
from forecourt.loyalty_table import entry_from_item
from forecourt.merges import Stage, merge_from_item
from forecourt.rulings import sale_of_entry
from forecourt.sales import parse_sale_id
from forecourt.stored_baskets import is_difference
from forecourt.stored_identities import evidence_key_from_item
from forecourt.stored_rulings import ruling_from_item
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SOURCE = "forecourt"


class DetailType(StrEnum):
    """The `detail-type` of an event."""

    ENTRY_RECORDED = "EntryRecorded"
    MEMBER_ENROLLED = "MemberEnrolled"
    MEMBER_CHANGED = "MemberChanged"
    MEMBER_ERASED = "MemberErased"
    IDENTITY_BOUND = "IdentityBound"
    IDENTITY_UNBOUND = "IdentityUnbound"
    PROGRAM_DRAFTED = "ProgramDrafted"
    PROGRAM_ACTIVATED = "ProgramActivated"
    STATION_REGISTERED = "StationRegistered"
    CASE_OPENED = "CaseOpened"
    DAY_CLOSED = "DayClosed"
    LEDGER_VERIFIED = "LedgerVerified"
    ADJUSTMENT_ASKED = "AdjustmentAsked"
    ADJUSTMENT_DECIDED = "AdjustmentDecided"
    BUDGET_OPENED = "BudgetOpened"
    SALE_EARNED_NOTHING = "SaleEarnedNothing"
    CONFIRMATION_ASKED = "ConfirmationAsked"
    CONFIRMATION_ANSWERED = "ConfirmationAnswered"
    SALE_RULED = "SaleRuled"
    MEMBERS_MERGED = "MembersMerged"
    MERGE_UNDONE = "MergeUndone"
    POINTS_EXPIRING = "PointsExpiring"
    WEIGHTS_PROPOSED = "WeightsProposed"
    WEIGHTS_ACTIVATED = "WeightsActivated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event; `detail["event_id"]` is the same however often it is delivered."""

    detail_type: DetailType
    detail: Mapping[str, Any]


Image = dict[str, dict[str, Any]]
Derivation: TypeAlias = "Callable[[Image | None, Image | None], list[Event]]"


def events_of(record: Mapping[str, Any]) -> list[Event]:
    """Return the events of one stream record; changes nobody waits for have none."""
    change = record["dynamodb"]
    new: Image | None = change.get("NewImage")
    old: Image | None = change.get("OldImage")
    subject = (new or old or {}).get("type", {}).get("S")
    derive = _DERIVATIONS.get(subject)
    return derive(new, old) if derive else []


def _at_first(derive: Callable[[Image], list[Event]]) -> Derivation:
    """Return what derives events of an item when it is made, and none of what becomes of it."""
    return lambda new, old: derive(new) if new is not None and old is None else []


@_at_first
def _entry(new: Image) -> list[Event]:
    entry = entry_from_item(new)
    return [
        _event(
            DetailType.ENTRY_RECORDED,
            f"{entry.member_id}.{entry.entry_id}",
            entry_id=entry.entry_id,
            member_id=entry.member_id,
            wallet=entry.wallet,
            kind=str(entry.kind),
            points=entry.points,
            source=entry.source,
            reason=entry.reason,
            program_version=entry.program_version,
            account_version=entry.account_version,
            occurred_at=new["occurred_at"]["S"],
            posted_at=new["posted_at"]["S"],
        )
    ]


def _member(new: Image | None, old: Image | None) -> list[Event]:
    if new is None:
        return []
    member_id = _after(new, "pk")
    version = from_item(new)["version"]
    kind = DetailType.MEMBER_ENROLLED if old is None else DetailType.MEMBER_CHANGED
    if old is not None and new["status"] == {"S": "erasing"} != old["status"]:
        kind = DetailType.MEMBER_ERASED
    return [_event(kind, f"{member_id}.{version}", member_id=member_id, version=version)]


def _bound(new: Image | None, old: Image | None) -> list[Event]:
    """Return that a member got or lost an identity: what others have of it is not their news."""
    events = []
    for image, other, kind in (
        (old, new, DetailType.IDENTITY_UNBOUND),
        (new, old, DetailType.IDENTITY_BOUND),
    ):
        # An unbound identity has no `bound_at`; bound again, it has another.
        if not image or "bound_at" not in image:
            continue
        # Hashed anew it has another key. For its member nothing has changed.
        if image is new and "rekeyed_at" in image:
            continue
        if (other or {}).get("bound_at") == image["bound_at"]:
            continue
        member_id, key = _after(image, "pk"), evidence_key_from_item(image)
        bound_at = image["bound_at"]["S"]
        events.append(
            _event(
                kind,
                f"{member_id}.{key.kind}.{key.digest}.{bound_at}",
                member_id=member_id,
                kind=key.kind,
                digest=key.digest,
                bound_at=bound_at,
            )
        )
    return events


@_at_first
def _program(new: Image) -> list[Event]:
    version = int(_after(new, "sk"))
    return [_event(DetailType.PROGRAM_DRAFTED, str(version), version=version)]


def _timeline(new: Image | None, old: Image | None) -> list[Event]:
    return _activations(DetailType.PROGRAM_ACTIVATED, new, old)


def _weights_timeline(new: Image | None, old: Image | None) -> list[Event]:
    return _activations(DetailType.WEIGHTS_ACTIVATED, new, old)


def _activations(kind: DetailType, new: Image | None, old: Image | None) -> list[Event]:
    known = from_item(old)["activations"] if old else []
    activations = from_item(new)["activations"] if new else []
    return [
        _event(
            kind,
            f"{each['version']}.{each['effective_at']}",
            version=each["version"],
            effective_at=each["effective_at"],
        )
        for each in activations
        if each not in known
    ]


@_at_first
def _weights(new: Image) -> list[Event]:
    values = from_item(new)
    version, comparison = int(_after(new, "sk")), values["comparison"]
    return [
        _event(
            DetailType.WEIGHTS_PROPOSED,
            str(version),
            version=version,
            run_id=values["run_id"],
            compared_with=comparison["compared_with"],
            in_force=comparison["in_force"],
            proposed=comparison["proposed"],
            changed=comparison["changed"],
            safe=comparison["safe"],
            proposed_at=values["proposed_at"],
        )
    ]


@_at_first
def _station(new: Image) -> list[Event]:
    station_id = new["sk"]["S"]
    return [_event(DetailType.STATION_REGISTERED, station_id, station_id=station_id)]


def _case(new: Image | None, _old: Image | None) -> list[Event]:
    if new is None:
        return []
    station_id, business_day = _after(new, "pk"), new["sk"]["S"]
    values = from_item(new)
    return [
        _event(
            DetailType.CASE_OPENED,
            f"{station_id}.{business_day}.{values['opened_at']}",
            station_id=station_id,
            business_day=business_day,
            opened_at=values["opened_at"],
            findings_total=values["findings_total"],
            findings=values["findings"],
        )
    ]


@_at_first
def _book(new: Image) -> list[Event]:
    values = from_item(new)
    return [
        _event(
            DetailType.DAY_CLOSED,
            values["day"],
            business_day=values["day"],
            entries=values["entries"],
            root=values["root"],
            previous=values["previous"],
            closed_at=values["closed_at"],
        )
    ]


def _adjustment(new: Image | None, old: Image | None) -> list[Event]:
    if new is None:
        return []
    asked = from_item(new)
    detail = {
        name: asked[name]
        for name in (
            "adjustment_id",
            "member_id",
            "wallet",
            "points",
            "source",
            "reason",
            "asked_by",
            "asked_at",
        )
    }
    identifier = asked["adjustment_id"]
    if new["sk"]["S"].startswith("OPEN#"):
        if old is not None:
            return []  # approved; what becomes of it is told when it is posted
        return [_event(DetailType.ADJUSTMENT_ASKED, identifier, **detail)]
    return [
        _event(
            DetailType.ADJUSTMENT_DECIDED,
            identifier,
            **detail,
            outcome=asked["status"],
            decided_by=asked["decided_by"],
            decided_at=asked["decided_at"],
        )
    ]


@_at_first
def _budget(new: Image) -> list[Event]:
    values = from_item(new)
    return [
        _event(
            DetailType.BUDGET_OPENED,
            values["sk"],
            budget_id=values["sk"],
            wallet=values["wallet"],
            expires_on=values.get("expires_on"),
            opened_by=values["opened_by"],
            opened_at=values["opened_at"],
        )
    ]


@_at_first
def _verification(new: Image) -> list[Event]:
    values = from_item(new)
    return [
        _event(
            DetailType.LEDGER_VERIFIED,
            values["sk"],
            run_id=values["sk"],
            accounts=values["accounts"],
            entries=values["entries"],
            differences=values["differences"],
            days_not_as_booked=values["days_not_as_booked"],
            not_at_zero=values["not_at_zero"],
            finished_at=values["finished_at"],
        )
    ]


@_at_first
def _evaluation(new: Image) -> list[Event]:
    if "wallet" in new:
        return []  # that there is no growth value is no news beside that there are no points
    member_id, entry_id = _after(new, "pk"), _after(new, "sk")
    if is_difference(entry_id):
        return []  # the receipt changed nothing; the sale may well have earned
    sale_id = sale_of_entry(entry_id)
    return [
        _event(
            DetailType.SALE_EARNED_NOTHING,
            f"{member_id}.{entry_id}",
            member_id=member_id,
            sale_id=sale_id,
            entry_id=entry_id,
            program_version=from_item(new).get("program_version"),
            occurred_at=new["occurred_at"]["S"],
        )
    ]


@_at_first
def _refusal(new: Image) -> list[Event]:
    """Return that a full wallet kept a sale from earning; other refusals are nobody's news."""
    if new["code"]["S"] != CeilingExceeded.code:
        return []
    member_id, entry_id = _after(new, "pk"), _after(new, "sk")
    sale_id = sale_of_entry(entry_id)
    try:
        completed_at = parse_sale_id(sale_id).completed_at
    except ValueError:
        return []  # points given for something else
    return [
        _event(
            DetailType.SALE_EARNED_NOTHING,
            f"{member_id}.{entry_id}",
            member_id=member_id,
            sale_id=sale_id,
            entry_id=entry_id,
            program_version=None,
            occurred_at=format_instant(completed_at),
        )
    ]


def _question(new: Image | None, _old: Image | None) -> list[Event]:
    if new is None:
        return []
    member_id, sale_id = _after(new, "pk"), _after(new, "sk")
    asked_at = new["asked_at"]["S"]
    return [
        _event(
            DetailType.CONFIRMATION_ASKED,
            f"{member_id}.{sale_id}.{asked_at}",
            member_id=member_id,
            sale_id=sale_id,
            asked_at=asked_at,
        )
    ]


def _answer(new: Image | None, old: Image | None) -> list[Event]:
    if new is None or (old is not None and old["type"] == new["type"]):
        return []
    member_id, sale_id = _after(new, "pk"), _after(new, "sk")
    return [
        _event(
            DetailType.CONFIRMATION_ANSWERED,
            f"{member_id}.{sale_id}.{new['answered_at']['S']}",
            member_id=member_id,
            sale_id=sale_id,
            answer=new["answer"]["S"],
            answered_by=new["answered_by"]["S"],
            answered_at=new["answered_at"]["S"],
        )
    ]


@_at_first
def _ruling(new: Image) -> list[Event]:
    applied = ruling_from_item(new)
    ruling = applied.ruling
    return [
        _event(
            DetailType.SALE_RULED,
            f"{ruling.sale_id}.{ruling.number}",
            sale_id=ruling.sale_id,
            number=ruling.number,
            verdict=str(ruling.verdict),
            members=[each.member_id for each in ruling.shares],
            taken_from=[each.share.member_id for each in applied.moved if each.reverses],
            actor=ruling.actor,
            reason=ruling.reason,
            ruled_at=new["ruled_at"]["S"],
        )
    ]


@_at_first
def _reminder(new: Image) -> list[Event]:
    member_id, values = _after(new, "pk"), from_item(new)
    wallet, last, days = values["wallet"], values["expires_on"], values["days_before"]
    return [
        _event(
            DetailType.POINTS_EXPIRING,
            f"{member_id}.{wallet}.{last}.{days}",
            member_id=member_id,
            wallet=wallet,
            expires_on=last,
            days_before=days,
            points=values["points"],
            noticed_at=values["noticed_at"],
        )
    ]


def _merge(new: Image | None, old: Image | None) -> list[Event]:
    if new is None or (old is not None and old["stage"] == new["stage"]):
        return []
    record = merge_from_item(new)
    kinds = {Stage.MERGED: DetailType.MEMBERS_MERGED, Stage.UNDONE: DetailType.MERGE_UNDONE}
    refused_to_undo = old is not None and old["stage"]["S"] == Stage.UNDOING
    if record.stage not in kinds or (refused_to_undo and record.stage is Stage.MERGED):
        return []
    undone = record.stage is Stage.UNDONE
    return [
        _event(
            kinds[record.stage],
            f"{record.closing}.{record.number}",
            member_id=record.closing,
            into=record.into,
            number=record.number,
            actor=record.undone_by if undone else record.merged_by,
            reason=record.undone_because if undone else record.reason,
            at=new["undone_at" if undone else "merged_at"]["S"],
        )
    ]


_DERIVATIONS: dict[str | None, Derivation] = {
    "entry": _entry,
    "member": _member,
    "bound": _bound,
    "unbound": _bound,
    "program": _program,
    "timeline": _timeline,
    "station": _station,
    "case": _case,
    "book": _book,
    "verification": _verification,
    "adjustment": _adjustment,
    "budget": _budget,
    "evaluation": _evaluation,
    "refusal": _refusal,
    "question": _question,
    "answer": _answer,
    "ruling": _ruling,
    "merge": _merge,
    "reminder": _reminder,
    "weights": _weights,
    "weights_timeline": _weights_timeline,
}


def _event(kind: DetailType, identifier: str, /, **detail: Any) -> Event:
    return Event(detail_type=kind, detail={"event_id": f"{kind}.{identifier}", **detail})


def _after(image: Image, name: str) -> str:
    """Return what follows the prefix of a key attribute."""
    value: str = image[name]["S"]
    return value.partition("#")[2]
