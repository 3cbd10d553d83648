"""
What the bus is told: one event per committed change of the Loyalty table.

An event is derived from the stream record of the change, so the two cannot disagree, and a
record that comes twice gives the same event with the same `event_id`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt import ledger_events, member_events, operator_events

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forecourt.bus import Derivation, Event, Image

# By type of item.
DERIVATIONS: dict[str, Derivation] = {
    **ledger_events.DERIVATIONS,
    **member_events.DERIVATIONS,
    **operator_events.DERIVATIONS,
}


def events_of(record: Mapping[str, Any]) -> list[Event]:
    """Return the events of one stream record; changes nobody waits for have none."""
    change = record["dynamodb"]
    new: Image | None = change.get("NewImage")
    old: Image | None = change.get("OldImage")
    subject = (new or old or {}).get("type", {}).get("S", "")
    derive = DERIVATIONS.get(subject)
    return derive(new, old) if derive else []
