"""How long the gateway waits for an answer follows the answers, within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt_edge.patience import Patience

LEAST, MOST = 20.0, 600.0


def patience(*answers: float) -> Patience:
    patient = Patience(least_seconds=LEAST, most_seconds=MOST)
    for seconds in answers:
        patient.learn(seconds)
    return patient


def test_before_the_first_answer_the_wait_is_the_least() -> None:
    assert patience().seconds == LEAST


def test_a_cloud_that_is_a_minute_behind_is_given_more_than_a_minute() -> None:
    # RFC 6298 (2.2): the first answer R makes the wait R + 4 * R / 2.
    assert patience(60).seconds == 180


def test_a_steady_cloud_is_asked_again_soon_after_it_should_have_answered() -> None:
    assert patience(*[60] * 40).seconds == pytest.approx(60, abs=1)


def test_a_quick_cloud_is_given_the_least_all_the_same() -> None:
    assert patience(*[0.1] * 10).seconds == LEAST


def test_a_cloud_that_has_caught_up_is_no_longer_given_the_time_of_its_backlog() -> None:
    assert patience(*[300] * 20, *[0.1] * 60).seconds == LEAST


@given(st.lists(st.floats(min_value=0, max_value=1e6), max_size=30))
def test_no_answers_lead_out_of_the_bounds(answers: list[float]) -> None:
    assert LEAST <= patience(*answers).seconds <= MOST
