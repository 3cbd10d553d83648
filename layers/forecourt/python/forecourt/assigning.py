"""How functions come by an `Assignment`, or by its `Tolerance`: settings, clients and policy."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3

from forecourt.assignment import Assignment
from forecourt.candidates_table import CandidatesTable
from forecourt.decided_sales import DecidedSales
from forecourt.identity_keys import IdentityKeys
from forecourt.inquiry import POLICIES
from forecourt.sales_table import SalesTable
from forecourt.sealing import Sealer
from forecourt.settings import Settings
from forecourt.slips import Slips
from forecourt.values import dataclass
from forecourt.weights_table import WeightsInForce, WeightsTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecourt.stored_sales import StoredSale


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentSettings(Settings):
    """What an `Assignment` needs; `matching_policy` is one of `inquiry.POLICIES`."""

    sales_table: str
    loyalty_table: str
    identity_secret_id: str
    ring_remembered_seconds: str
    seal_key_id: str
    matching_policy: str


def open_tolerance(
    *, identity_secret_id: str, ring_remembered_seconds: int, seal_key_id: str
) -> Callable[[StoredSale], Slips]:
    """
    Return what makes the `Tolerance` of a sale.

    What opens sealed values is opened itself when a value is asked for: exact evidence never
    does, and two more clients would cost every cold start.
    """

    @cache
    def sealer() -> Sealer:
        return Sealer(boto3.client("kms"), key_id=seal_key_id)

    ring = IdentityKeys(
        lambda: boto3.client("secretsmanager"),
        secret_id=identity_secret_id,
        remembered_seconds=ring_remembered_seconds,
    )

    def tolerate(stored: StoredSale) -> Slips:
        return Slips(stored, sealer=sealer, ring=ring)

    return tolerate


def open_assignment(settings: AssignmentSettings, dynamodb: Any) -> Assignment:
    """Return the assignment over the tables that *settings* name."""
    return Assignment(
        sales=SalesTable(dynamodb, name=settings.sales_table),
        decided=DecidedSales(dynamodb, sales=settings.sales_table, loyalty=settings.loyalty_table),
        candidates=CandidatesTable(dynamodb, name=settings.loyalty_table),
        weights=WeightsInForce(WeightsTable(dynamodb, name=settings.loyalty_table)),
        policy=POLICIES[settings.matching_policy],
        tolerate=open_tolerance(
            identity_secret_id=settings.identity_secret_id,
            ring_remembered_seconds=int(settings.ring_remembered_seconds),
            seal_key_id=settings.seal_key_id,
        ),
    )
