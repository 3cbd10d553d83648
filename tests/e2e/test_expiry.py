"""What runs out on the deployed stack: announced, and written down by the jobs."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from forecourt.instants import business_day, compact_instant
from forecourt.ledger import Policies, WalletPolicy
from forecourt.ledger.commands import Earn
from forecourt.ledger.procedure import AccountKey
from forecourt.ledger_table import LedgerTable
from infra.local.seed import PROGRAM, activate_program
from tests.e2e.bus import heard_from
from tests.e2e.schedules import invoked, scheduled
from tests.e2e.traces import PREFIX, nothing_left
from tests.e2e.waiting import wait_for
from tests.schemas import validator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forecourt.ledger import Account
    from infra.local.api_client import ApiClient
    from infra.local.stack import LocalStack

ZONE = ZoneInfo(PROGRAM["zone"])
YESTERDAY = datetime.now(UTC) - timedelta(days=1)
TODAY = business_day(datetime.now(UTC), ZONE)
SOON, LATER = TODAY + timedelta(days=7), TODAY + timedelta(days=200)


@pytest.fixture(scope="module", autouse=True)
def _left_as_found(stack: LocalStack, operator: ApiClient) -> Iterator[None]:
    with nothing_left(stack):
        if operator.get("/programs")["in_force"] is None:
            began = datetime.now(UTC) - timedelta(days=30)
            activate_program(operator, PROGRAM, effective_at=began)
        yield


class Member:
    """Somebody who earned yesterday, and whose account lies in the deployed table."""

    def __init__(self, stack: LocalStack) -> None:
        self.member_id = f"{PREFIX}{secrets.token_hex(4)}"
        self._ledger = LedgerTable(
            stack.client("dynamodb"), name=stack.outputs["LoyaltyTableName"], now=lambda: YESTERDAY
        )

    def earned(self, points: int, days: int) -> None:
        """Earn what is good for so many days from today."""
        command = Earn(
            entry_id=f"{compact_instant(YESTERDAY)}.{days}",
            owner=self.member_id,
            points=points,
            expires_on=TODAY + timedelta(days=days),
            source="test",
            reason="test",
            actor="test",
            occurred_at=YESTERDAY,
        )
        self._ledger.execute(command, policies=Policies(default=WalletPolicy(zone=ZONE))).posted()

    @property
    def account(self) -> Account:
        (account,) = self._ledger.accounts([AccountKey(self.member_id, "points")])
        return account


@pytest.fixture
def member(stack: LocalStack) -> Member:
    member = Member(stack)
    member.earned(10, -1)
    member.earned(20, 7)
    member.earned(40, 200)
    return member


def test_what_ran_out_is_written_down_by_the_job_that_finds_it(
    stack: LocalStack, member: Member
) -> None:
    scheduled(stack, "due", job="settle")

    account = wait_for(lambda: member.account, lambda account: account.version == 4)

    assert account.buckets == {SOON: 20, LATER: 40}


def test_who_has_several_days_ahead_is_reminded_of_the_one_that_is_near(
    stack: LocalStack, member: Member
) -> None:
    with heard_from(stack, detail_type="PointsExpiring", member_id=member.member_id) as heard:
        scheduled(stack, "due", job="remind")
        event = heard()

    assert not list(validator("bus/PointsExpiring").iter_errors(event))
    detail = event["detail"]
    assert (detail["expires_on"], detail["days_before"], detail["points"]) == (
        SOON.isoformat(),
        7,
        20,
    )


def test_a_migration_started_by_hand_extends_a_last_day(stack: LocalStack, member: Member) -> None:
    until = LATER + timedelta(days=30)

    event = {"job": "extend", "wallet": "points"}
    invoked(stack, "due", event | {"expires_on": LATER.isoformat(), "until": until.isoformat()})

    account = wait_for(lambda: member.account, lambda account: account.version == 4)
    assert account.buckets == {SOON: 20, until: 40}
