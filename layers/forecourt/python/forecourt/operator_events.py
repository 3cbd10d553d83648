"""Events of what head office keeps: programs, weights, stations and cases about their days."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecourt.attributes import from_item
from forecourt.bus import DetailType, after, at_first, event

if TYPE_CHECKING:
    from forecourt.bus import Derivation, Event, Image


@at_first
def _program(new: Image) -> list[Event]:
    version = int(after(new, "sk"))
    return [event(DetailType.PROGRAM_DRAFTED, str(version), version=version)]


def _timeline(new: Image | None, old: Image | None) -> list[Event]:
    return _activations(DetailType.PROGRAM_ACTIVATED, new, old)


def _weights_timeline(new: Image | None, old: Image | None) -> list[Event]:
    return _activations(DetailType.WEIGHTS_ACTIVATED, new, old)


def _activations(kind: DetailType, new: Image | None, old: Image | None) -> list[Event]:
    known = from_item(old)["activations"] if old else []
    activations = from_item(new)["activations"] if new else []
    return [
        event(
            kind,
            f"{each['version']}.{each['effective_at']}",
            version=each["version"],
            effective_at=each["effective_at"],
        )
        for each in activations
        if each not in known
    ]


@at_first
def _weights(new: Image) -> list[Event]:
    values = from_item(new)
    version, comparison = int(after(new, "sk")), values["comparison"]
    return [
        event(
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


@at_first
def _station(new: Image) -> list[Event]:
    station_id = new["sk"]["S"]
    return [event(DetailType.STATION_REGISTERED, station_id, station_id=station_id)]


def _case(new: Image | None, _old: Image | None) -> list[Event]:
    if new is None:
        return []
    station_id, business_day = after(new, "pk"), new["sk"]["S"]
    values = from_item(new)
    return [
        event(
            DetailType.CASE_OPENED,
            f"{station_id}.{business_day}.{values['opened_at']}",
            station_id=station_id,
            business_day=business_day,
            opened_at=values["opened_at"],
            findings_total=values["findings_total"],
            findings=values["findings"],
        )
    ]


DERIVATIONS: dict[str, Derivation] = {
    "program": _program,
    "timeline": _timeline,
    "weights": _weights,
    "weights_timeline": _weights_timeline,
    "station": _station,
    "case": _case,
}
