"""Tellings that wait for a sale: where they are listed, and who looks at them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.lone_tellings import LISTED_AFTER
from forecourt.retellings import telling_id_for
from forecourt.retold_sales import RetoldSales
from functions.operator import handler as operator
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE
from tests.functional.http import Client
from tests.functional.tellings import TILL
from tests.specimens import PLATE, RECEIVED_AT, sale

if TYPE_CHECKING:
    from tests.functional.world import World

BY_PLATE = sale(evidence=(PLATE,))
NEIGHBOUR = sale(nozzle=4, totalizer_ml=1, evidence=(PLATE,))
LONG_AFTER = RECEIVED_AT + LISTED_AFTER
TILL_ID = telling_id_for(TILL)


def somebody(group: str, subject: str = "sub-1") -> Client:
    return Client(handle=operator.handle, subject=subject, groups=f"[{group}]")


def listed(client: Client, **query: Any) -> list[str]:
    reply = client.get("/tellings", **query)
    assert reply.status == 200, reply.text
    return [each["telling_id"] for each in reply.body["tellings"]]


def retold(world: World, client: Any = None) -> RetoldSales:
    return RetoldSales(client or world.dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)


def told_of(world: World, sold: Any = BY_PLATE) -> list[str]:
    return [each.telling_id for each in world.stored(sold).told]
