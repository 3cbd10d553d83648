"""Weights on the deployed stack: learnt when asked, activated within seconds, and taken back."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.proposals import proposal_to_record
from forecourt.verification import Tally, report_of, tell_verification
from forecourt.weights_table import WeightsTable, shipped_weights
from tests.e2e.bus import heard_from
from tests.e2e.outpost import outpost
from tests.e2e.traces import PREFIX, nothing_left
from tests.e2e.waiting import wait_for
from tests.schemas import validator
from tests.specimens import proposal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.api_client import ApiClient
    from infra.local.stack import LocalStack
    from tests.e2e.drivers import Driver
    from tests.e2e.outpost import Outpost
    from tests.e2e.traces import Traces

RUN = f"{PREFIX}run"
IN_FORCE_WITHIN_SECONDS = 10
# Nobody would ever be credited by these.
SEVERE = replace(shipped_weights(), prior=-6_000)


@pytest.fixture(scope="module", autouse=True)
def traces(stack: LocalStack) -> Iterator[Traces]:
    with nothing_left(stack) as traces:
        yield traces


@pytest.fixture(scope="module")
def quay(stack: LocalStack, operator: ApiClient, traces: Traces) -> Iterator[Outpost]:  # noqa: ARG001 - first in, last out
    with outpost(stack, operator, f"{PREFIX}scales") as quay:
        yield quay


def weighed(quay: Outpost, driver: Driver, car: str) -> dict[str, Any]:
    """Sell to *driver*, who is seen with car and card; return what came of weighing."""
    sale = quay.sell(quay.pump.sale(*driver.comes_in(car)))
    shown = wait_for(
        lambda: quay.operator.get(f"/sales/{sale.sale_id}"), lambda sale: bool(sale["weighed"])
    )
    weighed: dict[str, Any] = shown["weighed"]
    return weighed


def test_an_activation_decides_within_ten_seconds_and_is_taken_back(
    stack: LocalStack, operator: ApiClient, quay: Outpost, driver: Driver, car: str
) -> None:
    driver.binds(car)
    before = weighed(quay, driver, car)
    table = WeightsTable(stack.client("dynamodb"), name=stack.outputs["LoyaltyTableName"])
    with heard_from(stack, detail_type="WeightsProposed", run_id=RUN) as heard:
        version = table.propose(
            RUN,
            lambda version: proposal_to_record(proposal(SEVERE), version=version),
            proposed_at=datetime.now(UTC),
        )
        proposed = heard()

    path = f"/weights/{version}/activation"
    with heard_from(stack, detail_type="WeightsActivated", version=version) as heard:
        operator.post(path, {"replaces": before["weights_version"]})
        activated = heard()
    time.sleep(IN_FORCE_WITHIN_SECONDS)
    severe = weighed(quay, driver, car)
    status, problem = operator.send("POST", path, {"replaces": 1}, key="same again")
    operator.post("/weights/1/activation", {"replaces": version})
    time.sleep(IN_FORCE_WITHIN_SECONDS)
    after = weighed(quay, driver, car)

    assert (before["weights_version"], before["outcome"]) == (1, "credited")
    assert (severe["weights_version"], severe["outcome"]) == (version, "unmatched")
    assert (after["weights_version"], after["outcome"]) == (1, "credited")
    assert (status, problem["version"]) == (200, version)  # it was so already
    assert operator.get(f"/weights/{version}")["status"] == "retired"
    for event in (proposed, activated):
        assert not list(validator(f"bus/{event['detail-type']}").iter_errors(event))


def test_learning_that_is_asked_for_says_what_it_lacks_and_proposes_nothing(
    stack: LocalStack, operator: ApiClient, quay: Outpost, driver: Driver, car: str
) -> None:
    weighed(quay, driver, car)
    tell_verification(
        stack.client("dynamodb"),
        table=stack.outputs["LoyaltyTableName"],
        report=report_of(Tally(owners=3, accounts=3), [], run_id=RUN),
        finished_at=datetime.now(UTC),
    )
    before = operator.get("/weights")["weights"]

    run_id = operator.post("/weights/learnings")["run_id"]

    def learnt() -> dict[str, Any] | None:
        runs = operator.get("/weights")["learnings"]
        return next((each for each in runs if each["run_id"] == run_id), None)

    run = wait_for(learnt)
    assert run is not None
    assert (run["version"], run["reason"], run["needed"]) == (None, "too_few_sales", 2_000)
    assert operator.get("/weights")["weights"] == before
