"""
Merging: two records that are one person's become one, or two again.

A write carries an `Idempotency-Key`; a retry with the same key is answered like the first time.
A merge takes several steps; asked for again, under whatever key, it goes on where it stopped.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger

from forecourt.doors import Door
from forecourt.identities_table import IdentitiesTable
from forecourt.keeping import Keeping
from forecourt.ledger_table import LedgerTable
from forecourt.loyalty_table import LoyaltyTable
from forecourt.members_table import MembersTable
from forecourt.merged_members import MergedMembers
from forecourt.once import Requests
from forecourt.sealing import Sealer
from forecourt.settings import Settings
from forecourt.values import dataclass
from functions.merging.merging import MergeRoutes

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@dataclass(frozen=True, slots=True, kw_only=True)
class MergingSettings(Settings):
    loyalty_table: str
    requests_table: str
    seal_key_id: str


settings = MergingSettings.from_env()
logger = Logger()
dynamodb = boto3.client("dynamodb")


def now() -> datetime:
    """Return the time of a request."""
    return datetime.now(UTC)


def fingerprint(content: bytes) -> str:
    """Return what is kept of a request's content, which holds nothing personal here."""
    return hashlib.sha256(content).hexdigest()


def no_block(_: str, _key_id: str) -> str:
    """Refuse to say in which block a phone is: it keeps its block, whoever has it."""
    raise LookupError("a merge counts no numbers")


door = Door(
    requests=Requests(dynamodb, name=settings.requests_table),
    fingerprint=fingerprint,
    logger=logger,
)
sealer = Sealer(boto3.client("kms"), key_id=settings.seal_key_id)
merging = MergeRoutes(
    door=door,
    members=MergedMembers(
        dynamodb,
        name=settings.loyalty_table,
        members=MembersTable(dynamodb, name=settings.loyalty_table, sealer=sealer),
        identities=IdentitiesTable(
            dynamodb, name=settings.loyalty_table, sealer=sealer, block_of=no_block
        ),
        ledger=LedgerTable(dynamodb, name=settings.loyalty_table),
    ),
    keeping=Keeping(LoyaltyTable(dynamodb, name=settings.loyalty_table)),
    now=now,
)


@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return door.handle(event, context)
