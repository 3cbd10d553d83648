"""The small mutable items beside the books, as plain values: what was reversed, what waits."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from forecourt.instants import format_instant, parse_instant
from forecourt.ledger.commands import Exactly, Line, Remainder, Reverse, Share
from forecourt.ledger.decisions import Parked, Reversals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forecourt.ledger.commands import Part

Record = dict[str, Any]

_NUMBERS = ("version", "given", "reversed", "part", "whole", "by_share")


def reversals_to_record(note: Reversals) -> Record:
    """Return *note* without its key."""
    record: Record = {name: getattr(note, name) for name in _NUMBERS}
    return record | {"items": list(note.items), "documents": list(note.documents)}


def reversals_from_record(record: Mapping[str, Any], *, owner: str, entry_id: str) -> Reversals:
    """Return the note that `reversals_to_record` wrote."""
    return Reversals(
        owner=owner,
        entry_id=entry_id,
        items=tuple(record["items"]),
        documents=tuple(record["documents"]),
        **{name: record[name] for name in _NUMBERS},
    )


def parked_to_record(parked: Parked) -> Record:
    """Return *parked* without its key; `parked_count` is what a later write is conditioned on."""
    return {
        "wallet": parked.wallet,
        "account_version": parked.account_version,
        "parked_count": len(parked.commands),
        "since": parked.since and parked.since.isoformat(),
        "commands": [_command_to_record(command) for command in parked.commands],
    }


def parked_from_record(record: Mapping[str, Any], *, owner: str, entry_id: str) -> Parked:
    """Return what `parked_to_record` wrote."""
    return Parked(
        owner=owner,
        wallet=record["wallet"],
        entry_id=entry_id,
        since=date.fromisoformat(since) if (since := record.get("since")) else None,
        account_version=record["account_version"],
        commands=tuple(
            Reverse(
                entry_id=command["entry_id"],
                owner=owner,
                wallet=record["wallet"],
                reverses=entry_id,
                document=command["document"],
                part=_part_from_list(command["part"]),
                reverses_owner=command.get("reverses_owner"),
                source=command["source"],
                reason=command["reason"],
                actor=command["actor"],
                occurred_at=parse_instant(command["occurred_at"]),
                program_version=command["program_version"],
                trace=tuple(command["trace"]),
                request=command.get("request", ""),
            )
            for command in record["commands"]
        ),
    )


def _command_to_record(command: Reverse) -> Record:
    record: Record = {
        "entry_id": command.entry_id,
        "document": command.document,
        "part": _part_to_list(command.part),
        "source": command.source,
        "reason": command.reason,
        "actor": command.actor,
        "occurred_at": format_instant(command.occurred_at),
        "program_version": command.program_version,
        "trace": [dict(each) for each in command.trace],
    }
    if command.reverses_owner is not None:
        record["reverses_owner"] = command.reverses_owner
    if command.request:
        record["request"] = command.request
    return record


def _part_to_list(part: Part) -> list[Any]:
    match part:
        case Remainder():
            return ["remainder"]
        case Exactly(points=points):
            return ["exactly", points]
        case Share(part=share, whole=whole):
            return ["share", share, whole]
        case Line(item=item, points=None):
            return ["line", item]
        case _:
            return ["line", part.item, part.points]


def _part_from_list(values: list[Any]) -> Part:
    match values:
        case ["exactly", points]:
            return Exactly(points=points)
        case ["share", share, whole]:
            return Share(part=share, whole=whole)
        case ["line", item, *points]:
            return Line(item=item, points=points[0] if points else None)
        case _:
            return Remainder()
