"""The ledger's rules by themselves: how fast they decide, and how an account grows."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from forecourt.instants import business_day, compact_instant
from forecourt.ledger import Account, Books, Policies, WalletPolicy, decide
from forecourt.ledger import commands as c
from forecourt.loyalty_table import account_to_item, entry_to_item
from forecourt.validity import EndOf, Validity, last_valid_day
from tests.item_sizes import WRITE_UNIT_BYTES, size

if TYPE_CHECKING:
    from forecourt.ledger import Decision

POLICIES = Policies(default=WalletPolicy(zone=ZoneInfo("Asia/Shanghai")))
VALIDITY = Validity(months=12, end_of=EndOf.MONTH)
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = 2.0
AFTER = (10, 1_000, 100_000)
TIMED = 500
MEMBER = "f3b1c7de-8a52-4a8e-9d0b-6f4f3f1f2a10"  # as long as a real one


def commands_per_second() -> dict[str, float]:
    """Return `ledger.pure.commands_per_second`: earns and spends on one core, by CPU time."""
    account = Account(member_id=MEMBER, buckets={})
    began, count = time.process_time(), 0
    for number in itertools.count():
        command = _earn(number) if number % 4 else _spend(number)
        if isinstance(command, c.Earn) or account.total >= command.points:
            account = _decided(account, command).account
            count += 1
        if time.process_time() - began >= SECONDS:
            break
    return {"ledger.pure.commands_per_second": round(count / (time.process_time() - began))}


def account_growth() -> dict[str, float]:
    """Return an account's size, and units and CPU time of a posting, after so many earns."""
    figures: dict[str, float] = {}
    account, done = Account(member_id=MEMBER, buckets={}), 0
    for earns in AFTER:
        for number in range(done, earns):
            account = _decided(account, _earn(number)).account
        done = earns
        seconds, decision = _timed(account, earns)
        items = [entry_to_item(decision.entry), account_to_item(decision.account)]
        units = sum(2 * -(-size(item) // WRITE_UNIT_BYTES) for item in items)
        figures |= {
            f"ledger.account_bytes.after_{earns}": size(account_to_item(account)),
            f"ledger.posting_write_units.after_{earns}": units,
            f"ledger.posting_microseconds.after_{earns}": round(seconds * 1e6, 1),
        }
    return figures


def _timed(account: Account, number: int) -> tuple[float, Decision]:
    """Return the CPU seconds of the next earn, the mean of many tries, and its decision."""
    command = _earn(number)
    began = time.process_time()
    for _ in range(TIMED):
        decision = _decided(account, command)
    return (time.process_time() - began) / TIMED, decision


def _decided(account: Account, command: c.Command) -> Decision:
    return decide(command, Books(account=account), now=command.occurred_at, policies=POLICIES)


def _earn(number: int) -> c.Earn:
    """Return an earn of a member who fuels, or shops, every hour of the day."""
    common = _common(number)
    on = business_day(common["occurred_at"], POLICIES.default.zone)
    return c.Earn(**common, points=399, expires_on=last_valid_day(on, VALIDITY))


def _spend(number: int) -> c.Spend:
    return c.Spend(**_common(number), points=500)


def _common(number: int) -> dict[str, Any]:
    at = BEGAN + timedelta(hours=number)
    sale_id = f"{compact_instant(at)}.s0001.FC-S0001.3.{number}.{123_456_789 + number}"
    return {
        "entry_id": sale_id,
        "owner": MEMBER,
        "source": f"sale:{sale_id}",
        "reason": "fuel",
        "actor": "accrual",
        "program_version": 1,
        "trace": ({"rule": "petrol", "outcome": "earned", "points": 399},),
        "occurred_at": at,
    }
