"""An `Assignment` over a world, as the handlers open theirs, with clients and a clock to choose."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from forecourt.assignment import Assignment
from forecourt.candidates_table import CandidatesTable
from forecourt.decided_sales import DecidedSales
from forecourt.inquiry import DEFAULT_POLICY
from forecourt.sales_table import SalesTable
from forecourt.slips import Slips
from forecourt.weights_table import shipped_weights
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.world import RING
from tests.specimens import RECEIVED_AT

if TYPE_CHECKING:
    from datetime import datetime

    from forecourt.stored_sales import StoredSale
    from forecourt.weighing import Policy
    from tests.functional.world import World

NOW = RECEIVED_AT + timedelta(seconds=1)


def assignment(
    world: World,
    *,
    sales_client: Any = None,
    loyalty_client: Any = None,
    policy: Policy = DEFAULT_POLICY,
    opened: list[str] | None = None,
    now: datetime = NOW,
) -> Assignment:
    """Return the assignment over *world*; what is unsealed is noted in *opened*."""

    def tolerate(stored: StoredSale) -> Slips:
        def sealer() -> Any:
            if opened is not None:
                opened.append(stored.sale.sale_id)
            return world.sealer

        return Slips(stored, sealer=sealer, ring=lambda: RING)

    return Assignment(
        sales=SalesTable(world.dynamodb, name=SALES_TABLE),
        decided=DecidedSales(
            sales_client or world.dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE
        ),
        candidates=CandidatesTable(loyalty_client or world.dynamodb, name=LOYALTY_TABLE),
        weights=shipped_weights,
        policy=policy,
        tolerate=tolerate,
        now=lambda: now,
    )
