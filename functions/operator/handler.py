"""
The operator API: stations, the program, the weights, and what waits for a person.

A write carries an `Idempotency-Key`; a retry with the same key is answered like the first time
and changes nothing. Routes are in the modules beside this one.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger

from forecourt.doors import Door, plain_fingerprint
from forecourt.lone_tellings import LoneTellings
from forecourt.loyalty_table import LoyaltyTable
from forecourt.once import Requests
from forecourt.operator_table import OperatorTable
from forecourt.programs import Programs
from forecourt.retold_sales import RetoldSales
from forecourt.sales_table import SalesTable
from forecourt.sealing import Sealer
from forecourt.settings import Settings
from forecourt.stations_table import StationsTable
from forecourt.values import dataclass
from forecourt.weights_table import WeightsTable
from functions.operator.programs import ProgramRoutes
from functions.operator.quotes import QuoteRoutes
from functions.operator.reviews import ReviewRoutes
from functions.operator.stations import StationRoutes
from functions.operator.tellings import TellingRoutes
from functions.operator.things import Things
from functions.operator.weights import WeightsRoutes

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSettings(Settings):
    loyalty_table: str
    sales_table: str
    requests_table: str
    seal_key_id: str
    station_policy: str
    learning_function: str


settings = OperatorSettings.from_env()
logger = Logger()
dynamodb = boto3.client("dynamodb")
functions = boto3.client("lambda")


def now() -> datetime:
    """Return the time of a request."""
    return datetime.now(UTC)


def learn(run_id: str) -> None:
    """Start the job that learns weights; it is not waited for."""
    functions.invoke(
        FunctionName=settings.learning_function,
        InvocationType="Event",
        Payload=json.dumps({"run_id": run_id}),
    )


door = Door(
    requests=Requests(dynamodb, name=settings.requests_table),
    fingerprint=plain_fingerprint,
    logger=logger,
)
sealer = Sealer(boto3.client("kms"), key_id=settings.seal_key_id)
table = OperatorTable(dynamodb, name=settings.loyalty_table)
stations = StationRoutes(
    door=door,
    table=table,
    things=Things(boto3.client("iot"), policy=settings.station_policy),
    now=now,
)
programs = ProgramRoutes(
    door=door, table=table, stations=StationsTable(dynamodb, name=settings.loyalty_table), now=now
)
quotes = QuoteRoutes(
    door=door,
    table=table,
    programs=Programs(LoyaltyTable(dynamodb, name=settings.loyalty_table)),
    now=now,
)
weights = WeightsRoutes(
    door=door,
    table=WeightsTable(dynamodb, name=settings.loyalty_table),
    learn=learn,
    now=now,
)
reviews = ReviewRoutes(
    door=door,
    sales=SalesTable(dynamodb, name=settings.sales_table),
    sealer=sealer,
    now=now,
)
tellings = TellingRoutes(
    door=door,
    stations=table,
    lone=LoneTellings(dynamodb, name=settings.sales_table),
    retold=RetoldSales(dynamodb, sales=settings.sales_table, loyalty=settings.loyalty_table),
    sealer=sealer,
    now=now,
)


@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return door.handle(event, context)
