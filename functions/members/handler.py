"""
The members API: enrol, profile, identities, presence, wallets, entries, sales.

A write carries an `Idempotency-Key`; a retry with the same key is answered like the first time
and changes nothing. Routes are in `functions.members.api` and `.wallets`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger

from forecourt.bookshelf import Bookshelf
from forecourt.doors import Door
from forecourt.identities_table import IdentitiesTable
from forecourt.identity_keys import IdentityKeys
from forecourt.keeping import Keeping
from forecourt.ledger_table import LedgerTable
from forecourt.loyalty_table import LoyaltyTable
from forecourt.members_table import MembersTable
from forecourt.once import Requests
from forecourt.pools_table import PoolsTable
from forecourt.portraits_table import PortraitsTable
from forecourt.presences_table import PresencesTable
from forecourt.questions_table import QuestionsTable
from forecourt.sales_table import SalesTable
from forecourt.sealing import Sealer
from forecourt.settings import Settings
from forecourt.statements import Statements
from forecourt.stations_table import StationsTable
from forecourt.values import dataclass
from functions.members.api import MembersApi
from functions.members.homes import Homes
from functions.members.presences import PresenceRoutes
from functions.members.proofs import ProofRoutes
from functions.members.questions import QuestionRoutes
from functions.members.wallets import WalletRoutes

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersSettings(Settings):
    loyalty_table: str
    sales_table: str
    requests_table: str
    books_bucket: str
    identity_secret_id: str
    ring_remembered_seconds: str
    seal_key_id: str


settings = MembersSettings.from_env()
logger = Logger()
dynamodb = boto3.client("dynamodb")
sealer = Sealer(boto3.client("kms"), key_id=settings.seal_key_id)


identity_keys = IdentityKeys(
    lambda: boto3.client("secretsmanager"),
    secret_id=settings.identity_secret_id,
    remembered_seconds=int(settings.ring_remembered_seconds),
)


def fingerprint(content: bytes) -> str:
    """
    Return what is kept of a request's content.

    Keyed, because there are few enough phone numbers to try them all against a plain hash.
    """
    return identity_keys().fingerprint(content)


def block_of(phone: str, key_id: str) -> str:
    """Return the hash of the block a phone number is in, by one of the keys."""
    return identity_keys().block(phone, key_id)


door = Door(
    requests=Requests(dynamodb, name=settings.requests_table),
    fingerprint=fingerprint,
    logger=logger,
)
members = MembersTable(dynamodb, name=settings.loyalty_table, sealer=sealer)
loyalty = LoyaltyTable(dynamodb, name=settings.loyalty_table)
statements = Statements(dynamodb, name=settings.loyalty_table)
identities = IdentitiesTable(
    dynamodb, name=settings.loyalty_table, sealer=sealer, block_of=block_of
)
sales = SalesTable(dynamodb, name=settings.sales_table)
presences = PresencesTable(dynamodb, name=settings.loyalty_table)
questions = QuestionRoutes(
    door=door,
    questions=QuestionsTable(dynamodb, name=settings.loyalty_table),
    sales=sales,
    portraits=PortraitsTable(dynamodb, name=settings.loyalty_table),
    presences=presences,
    loyalty=loyalty,
)
presence = PresenceRoutes(
    door=door,
    presences=presences,
    stations=StationsTable(dynamodb, name=settings.loyalty_table),
)
keeping = Keeping(loyalty)
homes = Homes(
    members=members,
    statements=statements,
    ledger=LedgerTable(dynamodb, name=settings.loyalty_table),
    keeping=keeping,
)
api = MembersApi(
    door=door,
    members=members,
    statements=statements,
    identities=identities,
    sales=sales,
    homes=homes,
    loyalty=loyalty,
    ring=identity_keys,
)
wallets = WalletRoutes(
    door=door,
    members=members,
    loyalty=loyalty,
    statements=statements,
    keeping=keeping,
)
proofs = ProofRoutes(
    door=door,
    loyalty=loyalty,
    pools=PoolsTable(dynamodb, name=settings.loyalty_table),
    shelf=Bookshelf(
        boto3.client("s3"), dynamodb, bucket=settings.books_bucket, table=settings.loyalty_table
    ),
)


@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return door.handle(event, context)
