"""A rotation of the identity key on a stack that runs: who was bound before and who comes after."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forecourt.keyring import KeyRing
from infra.local.seed import PROGRAM, activate_program
from tests.e2e.drivers import enrolled
from tests.e2e.outpost import outpost
from tests.e2e.pump import plate
from tests.e2e.traces import PREFIX, nothing_left
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.api_client import ApiClient
    from infra.local.stack import LocalStack
    from tests.e2e.drivers import Driver
    from tests.e2e.outpost import Outpost
    from tests.e2e.traces import Traces

ROOT = Path(__file__).parents[2]
# Everything that remembers the ring.
HASHING = ("ingest", "matching", "claims", "members", "erasure")
# Two waits, and two runs on a machine that others use.
ROTATED_WITHIN_SECONDS = 300.0


@pytest.fixture(scope="module", autouse=True)
def traces(stack: LocalStack, operator: ApiClient) -> Iterator[Traces]:
    with first_key(stack), nothing_left(stack) as traces:
        if operator.get("/programs")["in_force"] is None:
            began = datetime.now(UTC) - timedelta(days=30)
            activate_program(operator, PROGRAM, effective_at=began)
        yield traces


@contextmanager
def first_key(stack: LocalStack) -> Iterator[None]:
    """Put the secret back as it was, and restart whoever remembers another."""
    vault, secret = stack.client("secretsmanager"), stack.outputs["IdentitySecretArn"]
    before = vault.get_secret_value(SecretId=secret)["SecretString"]
    try:
        yield
    finally:
        vault.put_secret_value(SecretId=secret, SecretString=before)
        functions = stack.client("lambda")
        for function in HASHING:
            name = stack.function_name(function)
            timeout = functions.get_function_configuration(FunctionName=name)["Timeout"]
            functions.update_function_configuration(FunctionName=name, Timeout=timeout)


@pytest.fixture(scope="module")
def quay(stack: LocalStack, operator: ApiClient, traces: Traces) -> Iterator[Outpost]:  # noqa: ARG001 - first in, last out
    with outpost(stack, operator, f"{PREFIX}rota") as quay:
        yield quay


def ring(stack: LocalStack) -> KeyRing:
    secret = stack.outputs["IdentitySecretArn"]
    answer = stack.client("secretsmanager").get_secret_value(SecretId=secret)
    return KeyRing.from_text(answer["SecretString"])


def rotating(stack: LocalStack) -> subprocess.Popen[str]:
    """Run the operator's command."""
    return subprocess.Popen(
        [sys.executable, "-m", "infra.rotate", "--begin"],
        cwd=ROOT,
        env={**stack.environment(), "PYTHONPATH": f"{ROOT}:{ROOT}/layers/forecourt/python"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_whoever_binds_before_while_or_after_the_key_is_rotated_earns_after_it(
    stack: LocalStack, quay: Outpost, driver: Driver, other: Driver
) -> None:
    told_before = driver.binds("浙A10001")
    during, waits = enrolled(stack), quay.sell(quay.pump.sale(plate("浙A10003")))
    wait_for(lambda: waits.sale_id in quay.waiting("unmatched"))

    command = rotating(stack)
    wait_for(lambda: ring(stack).state == "1-2")
    during.binds("浙A10002")
    early = quay.sell(quay.pump.sale(*driver.comes_in("浙A10001")))
    driver.earned(early)
    printed, complaint = command.communicate(timeout=ROTATED_WITHIN_SECONDS)

    assert (command.returncode, complaint) == (0, "")
    assert "Everything is found by key 2, and nothing by the key before." in printed
    assert ring(stack).state == "2-1"
    assert other.binds("浙A10003").startswith("plate.2.")
    for member, car in ((driver, "浙A10001"), (during, "浙A10002"), (other, "浙A10003")):
        sale = quay.sell(quay.pump.sale(*member.comes_in(car)))
        member.earned(sale)
    # What waited since before the rotation is found by who bound its car after it.
    wait_for(
        lambda: (
            [
                each["sale"]["sale_id"]
                for each in other.app.get("/members/me/questions")["questions"]
            ]
            == [waits.sale_id]
        )
    )
    # The app goes on with the id it was told before.
    driver.app.call("DELETE", f"/members/me/identities/{told_before}", key="unbind-1")
    (card,) = driver.app.get("/members/me/identities")["identities"]
    assert card["identity_id"].startswith("card.2.")
