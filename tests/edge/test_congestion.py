"""How many messages are on the way follows from what is answered, as in TCP."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forecourt_edge.congestion import Window


def opened(window: Window, answers: int) -> Window:
    for _ in range(answers):
        window.answered()
    return window


def test_it_begins_with_ten_and_doubles_with_every_round_of_answers_up_to_the_most() -> None:
    window = Window(most=200)
    sizes = [window.size]
    for _ in range(5):
        opened(window, window.size)
        sizes.append(window.size)

    assert sizes == [10, 20, 40, 80, 160, 200]


def test_it_is_never_more_than_the_most_and_begins_with_no_more() -> None:
    assert Window(most=3).size == 3
    assert opened(Window(most=3), 100).size == 3


def test_what_is_not_answered_closes_it_to_one_and_it_opens_to_half_quickly_then_slowly() -> None:
    window = opened(Window(most=200), 30)  # forty
    window.not_answered(sent_at=1.0, now=2.0)
    assert window.size == 1

    assert opened(window, 19).size == 20
    assert opened(window, 20).size == 20
    assert opened(window, 1).size == 21


def test_a_round_that_is_not_answered_closes_it_once() -> None:
    window = opened(Window(most=200), 30)
    for place in range(40):
        window.not_answered(sent_at=1.0 + place / 100, now=2.0)
    assert opened(window, 19).size == 20

    window.not_answered(sent_at=2.5, now=3.0)
    assert window.size == 1


def test_a_connection_that_was_lost_is_no_reason_to_begin_with_all() -> None:
    window = opened(Window(most=200), 190)
    window.begin_again()
    assert window.size == 10
    window.not_answered(sent_at=1.0, now=2.0)
    window.begin_again()
    assert window.size == 1


@given(st.lists(st.booleans(), max_size=200), st.integers(1, 300))
def test_whatever_happens_something_may_be_sent_and_no_more_than_the_most(
    answers: list[bool], most: int
) -> None:
    window = Window(most=most)
    for number, answered in enumerate(answers):
        if answered:
            window.answered()
        else:
            window.not_answered(sent_at=float(number), now=number + 0.5)
        assert 1 <= window.size <= most
