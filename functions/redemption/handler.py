"""
Redemption: members spend their points, set them aside for a till, give them away, and pool them.

A write carries an `Idempotency-Key`; a retry with the same key is answered like the first time
and changes nothing, also after a crash: the entry's id is the request's. Routes are in the
modules beside this one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger

from forecourt.doors import Door, plain_fingerprint
from forecourt.keeping import Keeping
from forecourt.ledger_table import LedgerTable
from forecourt.loyalty_table import LoyaltyTable
from forecourt.once import Requests
from forecourt.pools_table import PoolsTable
from forecourt.settings import Settings
from forecourt.values import dataclass
from functions.redemption.counter import Counter
from functions.redemption.giving import GivingRoutes
from functions.redemption.pooling import PoolRoutes
from functions.redemption.redeeming import RedemptionRoutes

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@dataclass(frozen=True, slots=True, kw_only=True)
class RedemptionSettings(Settings):
    loyalty_table: str
    requests_table: str


settings = RedemptionSettings.from_env()
logger = Logger()
dynamodb = boto3.client("dynamodb")


def now() -> datetime:
    """Return the time of a request."""
    return datetime.now(UTC)


door = Door(
    requests=Requests(dynamodb, name=settings.requests_table),
    fingerprint=plain_fingerprint,
    logger=logger,
)
loyalty = LoyaltyTable(dynamodb, name=settings.loyalty_table)
counter = Counter(
    door=door,
    loyalty=loyalty,
    ledger=LedgerTable(dynamodb, name=settings.loyalty_table),
    pools=PoolsTable(dynamodb, name=settings.loyalty_table),
    keeping=Keeping(loyalty),
    now=now,
)
redemptions = RedemptionRoutes(counter)
giving = GivingRoutes(counter)
pools = PoolRoutes(counter)


@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return door.handle(event, context)
