"""Every refusal has a status, a title, a stable code and its facts."""

from __future__ import annotations

import importlib
import json
import pkgutil
from datetime import UTC, datetime

import pytest

import forecourt
from forecourt import door_errors, errors, member_errors, operator_errors
from forecourt.problems import OUTCOMES, PROBLEM_JSON, outcome_of, problem, problem_headers

Error = type[errors.ForecourtError]


def every_error(base: Error = errors.ForecourtError) -> set[Error]:
    """Return *base* and all there is below it in the shared package."""
    below = {base}
    for error in base.__subclasses__():
        below |= every_error(error)
    return {error for error in below if error.__module__.startswith("forecourt.")}


def test_every_error_has_its_own_row() -> None:
    for module in pkgutil.iter_modules(forecourt.__path__, "forecourt."):
        if module.name.endswith("errors"):  # the table may not import it
            importlib.import_module(module.name)

    assert set(OUTCOMES) == every_error()


def test_every_error_has_its_own_code_and_title() -> None:
    codes = [error.code for error in OUTCOMES]

    assert len(set(codes)) == len(codes)
    assert len({outcome.title for outcome in OUTCOMES.values()}) >= len(codes) - 1


@pytest.mark.parametrize("error", OUTCOMES, ids=lambda error: error.__name__)
def test_a_status_fits_the_kind_of_error(error: Error) -> None:
    status = OUTCOMES[error].status

    if issubclass(error, errors.Unknown):
        assert status == 404
    elif issubclass(error, errors.Malformed):
        assert status in {400, 413, 415, 422}
    elif issubclass(error, errors.Rejected):
        assert status in {409, 412, 422, 503}
    else:
        assert status in {401, 403, 500, 503}


def test_only_decisions_are_final() -> None:
    passing = {error for error, outcome in OUTCOMES.items() if not outcome.final}

    assert passing == {
        errors.ForecourtError,
        errors.Forbidden,
        door_errors.IdempotencyKeyReused,
        door_errors.RequestInProgress,
        errors.StaleWrite,
        errors.Unauthenticated,
        errors.Unavailable,
    }


def test_a_problem_carries_the_facts_of_the_error() -> None:
    at = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)

    document = problem(operator_errors.RetroactiveActivation(effective_at=at, earliest_at=at))

    assert document == {
        "type": "urn:forecourt:problem:retroactive_activation",
        "title": "What was in force cannot be changed",
        "status": 409,
        "code": "retroactive_activation",
        "facts": {
            "effective_at": "2026-11-23T08:15:00Z",
            "earliest_at": "2026-11-23T08:15:00Z",
        },
    }


def test_a_fact_called_status_does_not_hide_the_problems_own() -> None:
    document = problem(errors.SaleNotHeld(sale_id="s", status="matched"))

    assert (document["status"], document["facts"]["status"]) == (409, "matched")


def test_an_error_nobody_listed_is_noticed() -> None:
    class Surprise(errors.ForecourtError):
        pass

    with pytest.raises(KeyError):
        outcome_of(Surprise())


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (door_errors.RequestInProgress(), True),
        (errors.Unavailable(), True),
        (errors.StaleWrite(), True),
        (member_errors.IdentityTaken(kind="plate"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_may_be_tried_again_says_when(error: errors.ForecourtError, *, waits: bool) -> None:
    headers = problem_headers(outcome_of(error).status, code=error.code)

    assert headers["Content-Type"] == PROBLEM_JSON
    assert ("Retry-After" in headers) is waits
    json.dumps(problem(error))
