"""Events of the ledger: what was posted, asked for, kept from earning, booked and verified."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecourt.attributes import from_item
from forecourt.bus import DetailType, after, at_first, event
from forecourt.instants import format_instant
from forecourt.ledger.refusals import CeilingExceeded
from forecourt.loyalty_table import entry_from_item
from forecourt.rulings import sale_of_entry
from forecourt.sales import parse_sale_id
from forecourt.stored_baskets import is_difference

if TYPE_CHECKING:
    from forecourt.bus import Derivation, Event, Image


@at_first
def _entry(new: Image) -> list[Event]:
    entry = entry_from_item(new)
    return [
        event(
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
        return [event(DetailType.ADJUSTMENT_ASKED, identifier, **detail)]
    return [
        event(
            DetailType.ADJUSTMENT_DECIDED,
            identifier,
            **detail,
            outcome=asked["status"],
            decided_by=asked["decided_by"],
            decided_at=asked["decided_at"],
        )
    ]


@at_first
def _budget(new: Image) -> list[Event]:
    values = from_item(new)
    return [
        event(
            DetailType.BUDGET_OPENED,
            values["sk"],
            budget_id=values["sk"],
            wallet=values["wallet"],
            expires_on=values.get("expires_on"),
            opened_by=values["opened_by"],
            opened_at=values["opened_at"],
        )
    ]


@at_first
def _evaluation(new: Image) -> list[Event]:
    if "wallet" in new:
        return []  # that there is no growth value is no news beside that there are no points
    member_id, entry_id = after(new, "pk"), after(new, "sk")
    if is_difference(entry_id):
        return []  # the receipt changed nothing; the sale may well have earned
    sale_id = sale_of_entry(entry_id)
    return [
        event(
            DetailType.SALE_EARNED_NOTHING,
            f"{member_id}.{entry_id}",
            member_id=member_id,
            sale_id=sale_id,
            entry_id=entry_id,
            program_version=from_item(new).get("program_version"),
            occurred_at=new["occurred_at"]["S"],
        )
    ]


@at_first
def _refusal(new: Image) -> list[Event]:
    """Return that a full wallet kept a sale from earning; other refusals are nobody's news."""
    if new["code"]["S"] != CeilingExceeded.code:
        return []
    member_id, entry_id = after(new, "pk"), after(new, "sk")
    sale_id = sale_of_entry(entry_id)
    try:
        completed_at = parse_sale_id(sale_id).completed_at
    except ValueError:
        return []  # points given for something else
    return [
        event(
            DetailType.SALE_EARNED_NOTHING,
            f"{member_id}.{entry_id}",
            member_id=member_id,
            sale_id=sale_id,
            entry_id=entry_id,
            program_version=None,
            occurred_at=format_instant(completed_at),
        )
    ]


@at_first
def _reminder(new: Image) -> list[Event]:
    member_id, values = after(new, "pk"), from_item(new)
    wallet, last, days = values["wallet"], values["expires_on"], values["days_before"]
    return [
        event(
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


@at_first
def _book(new: Image) -> list[Event]:
    values = from_item(new)
    return [
        event(
            DetailType.DAY_CLOSED,
            values["day"],
            business_day=values["day"],
            entries=values["entries"],
            root=values["root"],
            previous=values["previous"],
            closed_at=values["closed_at"],
        )
    ]


@at_first
def _verification(new: Image) -> list[Event]:
    values = from_item(new)
    return [
        event(
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


DERIVATIONS: dict[str, Derivation] = {
    "entry": _entry,
    "adjustment": _adjustment,
    "budget": _budget,
    "evaluation": _evaluation,
    "refusal": _refusal,
    "reminder": _reminder,
    "book": _book,
    "verification": _verification,
}
