"""Inquiries in step get what they would get one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from forecourt.conversations import in_step
from forecourt.inquiry import Found, LookUp

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping


def inquiry(name: int, questions: int) -> Generator[LookUp, Found, tuple[int, list[int]]]:
    """Ask *questions* times; return the name and what was answered."""
    answers = []
    for number in range(questions):
        found = yield LookUp(portraits=(f"{name}.{number}",))
        answers.append(found.block_members)
    return name, answers


@given(st.lists(st.integers(0, 4), max_size=8))
def test_each_gets_its_own_answers_in_as_many_trips_as_the_longest_takes(
    lengths: list[int],
) -> None:
    trips: list[int] = []

    def look_up(asked: Mapping[int, LookUp]) -> Mapping[int, Found]:
        trips.append(len(asked))
        return {
            place: Found(block_members=int(each.portraits[0].replace(".", "")))
            for place, each in asked.items()
        }

    found = in_step(
        [inquiry(name, length) for name, length in enumerate(lengths, start=1)], look_up
    )

    assert found == [
        (name, [name * 10 + number for number in range(length)])
        for name, length in enumerate(lengths, start=1)
    ]
    assert len(trips) == max(lengths, default=0)
