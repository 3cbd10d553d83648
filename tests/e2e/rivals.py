"""
Commands of the ledger sent at once by real threads of real processes, against the local stack.

Everybody is ready before anybody begins. Who is told that the table stays busy sends the same
command again, as the platform does with a function's event.
"""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from forecourt.errors import StaleWrite
from forecourt.ledger import Policies
from forecourt.ledger_table import LedgerTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecourt.ledger.commands import Command
    from infra.local.stack import LocalStack

PROCESSES = 4
THREADS = 5
# Long enough for a process to start on a busy machine; who is late only comes late.
READY_WITHIN_SECONDS = 4.0
POLICIES = Policies()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the table is, and the rights to use it: those of a function that posts."""

    table: str
    client: dict[str, Any]

    def ledger(self) -> LedgerTable:
        config = Config(max_pool_connections=THREADS)
        return LedgerTable(boto3.client("dynamodb", config=config, **self.client), name=self.table)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a command came to: `refused` is the refusal's code. `busy` counts repeats of it."""

    entry_id: str
    refused: str | None
    busy: int
    seconds: float


def place_of(stack: LocalStack, function: str = "corrections") -> Place:
    """Return the deployed Loyalty table, as *function* may use it."""
    client = stack.client_as(function, "dynamodb")
    rights = client._request_signer._credentials.get_frozen_credentials()
    return Place(
        table=stack.outputs["LoyaltyTableName"],
        client={
            "endpoint_url": stack.endpoint_url,
            "region_name": client.meta.region_name,
            "aws_access_key_id": rights.access_key,
            "aws_secret_access_key": rights.secret_key,
            "aws_session_token": rights.token,
        },
    )


def at_once(place: Place, commands: Sequence[Command]) -> list[Outcome]:
    """Carry *commands* out, as many at a time as there are threads; return what they came to."""
    shares = [list(commands[number::PROCESSES]) for number in range(PROCESSES)]
    begins_at = time.time() + READY_WITHIN_SECONDS
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as processes:
        futures = [processes.submit(_share, place, share, begins_at) for share in shares]
        return [outcome for future in futures for outcome in future.result()]


def _share(place: Place, commands: list[Command], begins_at: float) -> list[Outcome]:
    ledger = place.ledger()
    with ThreadPoolExecutor(THREADS) as threads:
        time.sleep(max(begins_at - time.time(), 0))
        return list(threads.map(lambda command: _carried_out(ledger, command), commands))


def _carried_out(ledger: LedgerTable, command: Command) -> Outcome:
    began, busy = time.monotonic(), 0
    while True:
        try:
            answer = ledger.execute(command, policies=POLICIES)
        except StaleWrite:
            busy += 1
            continue
        return Outcome(
            entry_id=command.entry_id,
            refused=answer.refusal.code if answer.refusal else None,
            busy=busy,
            seconds=time.monotonic() - began,
        )
