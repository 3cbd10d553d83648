"""How a member's portrait and check-ins are read (see `forecourt.stored_identities`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.agreement import Portrait
from forecourt.attributes import from_item
from forecourt.behaviour import behaviour_from_map, behaviour_to_map
from forecourt.habits import Habits
from forecourt.presence import Presences, presences_from_list

if TYPE_CHECKING:
    from collections.abc import Mapping


def portrait_from_item(item: Mapping[str, Mapping[str, Any]]) -> Portrait:
    """Decode what is known of a member."""
    values = from_item(item)
    identities: dict[str, set[str]] = {}
    for mark in values.get("bound", ()):
        kind, _, digest = mark.partition("#")
        identities.setdefault(kind, set()).add(digest)
    return Portrait(
        identities={kind: frozenset(digests) for kind, digests in identities.items()},
        behaviour=habits_from_item(item).behaviour if "behaviour" in values else None,
    )


def presences_from_item(item: Mapping[str, Mapping[str, Any]] | None) -> Presences:
    """Decode where a member checked in; no item is nowhere."""
    return presences_from_list(from_item(item)["check_ins"]) if item else Presences()


def habits_from_item(item: Mapping[str, Mapping[str, Any]] | None) -> Habits:
    """Decode a member's habits; who has no portrait yet has none."""
    values = from_item(item or {})
    if "behaviour" not in values:
        return Habits()
    return Habits(
        behaviour=behaviour_from_map(values["behaviour"]),
        counted=tuple(values["counted"]),
        ruled=tuple(values.get("ruled", ())),
    )


def habits_to_map(habits: Habits) -> dict[str, Any]:
    """Return the attributes of a portrait that hold *habits*."""
    return {
        "behaviour": behaviour_to_map(habits.behaviour),
        "counted": list(habits.counted),
        "ruled": list(habits.ruled),
    }
