"""Several inquiries at once: what all of them ask at one time is one question."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from forecourt.inquiry import Found, LookUp

Answer = TypeVar("Answer")


def in_step(
    inquiries: Sequence[Generator[LookUp, Found, Answer]],
    look_up: Callable[[Mapping[int, LookUp]], Mapping[int, Found]],
) -> list[Answer]:
    """
    Lead *inquiries* to their answers, and return these in the same order.

    *look_up* is given what is asked, by the inquiry's place, and answers all of it. It is
    called as often as the inquiry that asks most, whatever their number.
    """
    answers: dict[int, Answer] = {}
    asked: dict[int, LookUp] = {}

    def go_on(place: int, found: Found | None) -> None:
        inquiry = inquiries[place]
        try:
            asked[place] = next(inquiry) if found is None else inquiry.send(found)
        except StopIteration as stop:
            answers[place] = stop.value

    for place in range(len(inquiries)):
        go_on(place, None)
    while asked:
        found = look_up(asked)
        asked = {}
        for place, each in found.items():
            go_on(place, each)
    return [answers[place] for place in range(len(inquiries))]
