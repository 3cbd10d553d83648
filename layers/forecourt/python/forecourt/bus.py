"""
Events as the bus takes them, and what derives them from items before and after a change.

Nothing personal is in any of them: identities appear as keyed hashes. Every detail type has a
schema and a sample under `events/bus/`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

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


# An item, as a stream has it.
Image = dict[str, dict[str, Any]]
Derivation: TypeAlias = "Callable[[Image | None, Image | None], list[Event]]"


def at_first(derive: Callable[[Image], list[Event]]) -> Derivation:
    """Return what derives events of an item when it is made, and none of what becomes of it."""
    return lambda new, old: derive(new) if new is not None and old is None else []


def event(kind: DetailType, identifier: str, /, **detail: Any) -> Event:
    return Event(detail_type=kind, detail={"event_id": f"{kind}.{identifier}", **detail})


def after(image: Image, name: str) -> str:
    """Return what follows the prefix of a key attribute."""
    value: str = image[name]["S"]
    return value.partition("#")[2]
