"""A day is closed on the deployed stack, an entry proved, and a forgery found."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from forecourt.instants import business_day, compact_instant
from forecourt.ledger import Policies, WalletPolicy
from forecourt.ledger.commands import Earn, Spend
from forecourt.ledger.daybook import SETTLES_WITHIN
from forecourt.ledger_table import LedgerTable
from forecourt.loyalty_table import timeline_entry_key
from infra.local.api_client import ApiClient
from tests.e2e.traces import PREFIX, nothing_left
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forecourt.ledger import Entry
    from infra.local.stack import LocalStack

ROOT = Path(__file__).parents[2]
ZONE = ZoneInfo("Asia/Shanghai")
# A moment of a day that is over and may be closed, even if it is midnight now.
YESTERDAY = datetime.now(UTC) - timedelta(days=1) - SETTLES_WITHIN
DAY = business_day(YESTERDAY, ZONE)


@pytest.fixture(scope="module", autouse=True)
def _traces(stack: LocalStack) -> Iterator[None]:
    with nothing_left(stack):
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedDay:
    """A member's entries of yesterday, closed, and what the bucket says of the day."""

    app: ApiClient
    entries: tuple[Entry, ...]
    book: dict[str, Any]


@pytest.fixture(scope="module")
def closed(stack: LocalStack) -> ClosedDay:
    app = ApiClient(stack.api_url, stack.token("member", f"{PREFIX}{secrets.token_hex(4)}"))
    member_id = app.post("/members", {})["member_id"]
    ledger = LedgerTable(
        stack.client("dynamodb"),
        name=stack.outputs["LoyaltyTableName"],
        now=lambda: YESTERDAY,
    )
    assert not books(stack), "a day is closed already: what is written now would be late"
    policies = Policies(default=WalletPolicy(zone=ZONE))
    said: dict[str, Any] = {
        "owner": member_id,
        "source": "e2e",
        "reason": "fuel",
        "actor": "e2e",
        "occurred_at": YESTERDAY,
    }
    instant = compact_instant(YESTERDAY)
    commands = [
        Earn(entry_id=f"{instant}.1", points=100, expires_on=None, **said),
        Earn(entry_id=f"{instant}.2", points=50, expires_on=None, **said),
        Spend(entry_id=f"{instant}.3", points=70, **said),
    ]
    entries = tuple(ledger.execute(each, policies=policies).posted() for each in commands)
    wait_for(lambda: len(archived(stack)) == len(entries))
    answer = stack.client("lambda").invoke(
        FunctionName=stack.outputs["ClosingFunctionName"],
        Payload=json.dumps({"business_day": DAY.isoformat()}).encode(),
    )
    assert json.loads(answer["Payload"].read()) == {"closed": [DAY.isoformat()]}
    book = stack.client("s3").get_object(
        Bucket=stack.outputs["BooksBucketName"], Key=f"books/{DAY.isoformat()}/book.json"
    )
    return ClosedDay(app=app, entries=entries, book=json.loads(book["Body"].read()))


def books(stack: LocalStack) -> list[str]:
    """Return the names of the files of all closed days."""
    found = stack.client("s3").list_objects_v2(
        Bucket=stack.outputs["BooksBucketName"], Prefix="books/"
    )
    return [each["Key"] for each in found.get("Contents", ())]


def archived(stack: LocalStack) -> set[bytes]:
    """Return the lines the archive has of the day."""
    s3, bucket = stack.client("s3"), stack.outputs["WorkingsBucketName"]
    found = s3.list_objects_v2(Bucket=bucket, Prefix=f"arrivals/{DAY.isoformat()}/")
    return {
        line
        for each in found.get("Contents", ())
        for line in s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read().splitlines()
    }


def verified(stack: LocalStack) -> tuple[int, str]:
    """Run the operator's command; return how it ended and what it printed."""
    ended = subprocess.run(
        [sys.executable, "-m", "infra.verify"],
        cwd=ROOT,
        env={**stack.environment(), "PYTHONPATH": f"{ROOT}:{ROOT}/layers/forecourt/python"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.stderr == ""
    return ended.returncode, ended.stdout


def test_a_member_proves_an_entry_by_the_root_in_the_bucket(
    closed: ClosedDay, tmp_path: Path
) -> None:
    assert closed.book["entries"] == len(closed.entries)

    for entry in closed.entries:
        proof = closed.app.get(f"/members/me/entries/{entry.entry_id}/proof")

        file = tmp_path / f"{entry.entry_id}.json"
        file.write_text(json.dumps(proof))
        script = [sys.executable, "-I", "-S", str(ROOT / "docs" / "check_proof.py"), str(file)]
        root = ["--root", closed.book["root"]]
        assert subprocess.run([*script, *root], check=False, capture_output=True).returncode == 0
        file.write_text(json.dumps({**proof, "content": [*proof["content"][:2], {}]}))
        assert subprocess.run([*script, *root], check=False, capture_output=True).returncode == 1


def test_a_ledger_nobody_touched_is_verified_and_a_forged_entry_is_found(
    stack: LocalStack, closed: ClosedDay
) -> None:
    code, printed = verified(stack)
    assert (code, "differences: 0, days not as booked: 0" in printed) == (0, True), printed
    entry = closed.entries[1]
    dynamodb = stack.client("dynamodb")
    place = {
        "TableName": stack.outputs["LoyaltyTableName"],
        "Key": timeline_entry_key(entry.member_id, entry.entry_id),
    }
    dynamodb.update_item(
        **place,
        UpdateExpression="SET actor = :forged",
        ExpressionAttributeValues={":forged": {"S": "somebody else"}},
    )

    code, printed = verified(stack)

    assert code == 1
    assert '"kind": "chain_broken"' in printed
    assert entry.entry_id in printed
    # What it says now is in no book: the archive had it before.
    assert '"kind": "not_booked"' in printed
    assert "differences: 2," in printed
