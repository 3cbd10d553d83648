"""Which version of something (the program, the weights) is in force when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.instants import format_instant, parse_instant
from forecourt.operator_errors import RetroactiveActivation
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Activation:
    """From `effective_at` on, `version` is in force."""

    effective_at: datetime
    version: int


def in_force(timeline: Sequence[Activation], at: datetime) -> int | None:
    """Return the version in force at *at*, or `None` before there was any."""
    past = [activation for activation in timeline if activation.effective_at <= at]
    # Of two for the same instant the later one was meant, hence the last maximum.
    return max(reversed(past), key=lambda each: each.effective_at).version if past else None


def after_activation(
    timeline: Sequence[Activation], activation: Activation, *, now: datetime
) -> tuple[Activation, ...]:
    """
    Return *timeline* with *activation* in it; the same one again changes nothing.

    What was in force stays so: sales were judged by it. Only the very first activation may
    lie in the past. One that was still to come, at the same instant, gives way. An older
    version may come back: that is how a mistake is undone.
    """
    if activation in timeline:
        return tuple(timeline)
    if timeline and activation.effective_at < now:
        raise RetroactiveActivation(effective_at=activation.effective_at, earliest_at=now)
    kept = [each for each in timeline if each.effective_at != activation.effective_at]
    return tuple(sorted([*kept, activation]))


def activations_to_list(timeline: Sequence[Activation]) -> list[dict[str, Any]]:
    """Return a timeline as plain values."""
    return [
        {"effective_at": format_instant(each.effective_at), "version": each.version}
        for each in timeline
    ]


def activations_from_list(values: Sequence[Mapping[str, Any]]) -> tuple[Activation, ...]:
    """Return the timeline that `activations_to_list` wrote."""
    return tuple(
        Activation(effective_at=parse_instant(each["effective_at"]), version=each["version"])
        for each in values
    )
