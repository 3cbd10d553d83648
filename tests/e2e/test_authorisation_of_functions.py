"""What each function may do, tried in its role on the deployed stack."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.needs import NEEDED
from tests.e2e.probes import NOBODY, Guise, passes, probes
from tests.e2e.traces import PREFIX, nothing_left
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.stack import LocalStack
    from tests.e2e.probes import Probe
    from tests.e2e.traces import Traces

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def traces(stack: LocalStack) -> Iterator[Traces]:
    with nothing_left(stack) as traces:
        yield traces


@pytest.fixture(scope="module")
def calls(stack: LocalStack, traces: Traces) -> Iterator[dict[str, Probe]]:
    """All probes; the tables withstand even a deletion that should have been refused."""
    dynamodb = stack.client("dynamodb")
    vault = stack.client("secretsmanager")
    with ExitStack() as undo:
        for table in traces.names.values():
            named = {"TableName": table}
            dynamodb.update_table(**named, DeletionProtectionEnabled=True)
            undo.callback(dynamodb.update_table, **named, DeletionProtectionEnabled=False)
        other = vault.create_secret(Name=f"{PREFIX}other", SecretString="not Forecourt's")["ARN"]
        undo.callback(vault.delete_secret, SecretId=other, ForceDeleteWithoutRecovery=True)
        yield probes(stack, other_secret=other)


@pytest.fixture(scope="module")
def guise(stack: LocalStack) -> Guise:
    return Guise(stack)


def test_the_table_of_needs_has_every_function() -> None:
    folders = {path.parent.name for path in ROOT.glob("functions/*/handler.py")}

    assert NEEDED.keys() == folders


@pytest.mark.parametrize("function", NEEDED)
def test_a_function_may_do_what_it_needs_and_nothing_else(
    stack: LocalStack, calls: dict[str, Probe], guise: Guise, function: str
) -> None:
    guise.become(stack.client_as(function, "sts"))

    allowed = {name for name, probe in calls.items() if passes(guise.client(probe), probe)}

    assert allowed == NEEDED[function]


def test_every_probe_passes_for_an_administrator(
    stack: LocalStack, calls: dict[str, Probe], guise: Guise, traces: Traces
) -> None:
    """A probe that is refused for another reason than the caller's rights would prove nothing."""
    guise.become(stack.client("sts"))

    refused = {name for name, probe in calls.items() if not passes(guise.client(probe), probe)}

    assert not refused
    # Published as a station it was quarantined, as soon as ingest is warm; later tests count items.
    wait_for(lambda: any(NOBODY in pk for _, pk, _ in traces.items("sales")))
