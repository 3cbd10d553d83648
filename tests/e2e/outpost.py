"""A registered station on the line, and what an operator sees of it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from infra.local.seed import Credentials, register_station
from tests.e2e.pump import Pump, told
from tests.e2e.station_client import ACCEPTED, SUCCESS, StationClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from forecourt.sales import Sale
    from infra.local.api_client import ApiClient
    from infra.local.stack import LocalStack

ZONE = "Asia/Shanghai"
GRADES = {"92", "95"}
# Long enough for a whole business day before this one.
OPEN_FOR = timedelta(days=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outpost:
    """One station: its connection, its pump, and head office's view of it."""

    station_id: str
    client: StationClient
    pump: Pump
    credentials: Credentials
    operator: ApiClient

    def tell(self, message: dict[str, Any] | bytes, *, topic: str = "sales") -> None:
        """Publish *message*; the broker has it when this returns."""
        outcome = self.client.publish(f"forecourt/{self.station_id}/up/{topic}", message)
        assert outcome == SUCCESS

    def sell(self, sale: Sale) -> Sale:
        """Tell *sale* and wait until it is acknowledged."""
        self.tell(told(sale))
        assert self.client.answer_to(sale.sale_id) == ACCEPTED
        return sale

    def waiting(self, queue: str) -> dict[str, dict[str, Any]]:
        """Return what waits in *queue* for a person, by sale or message id."""
        page = self.operator.get(f"/sales?queue={queue}&limit=50")
        found = page["sales"] + page["messages"]
        while page["next_cursor"]:
            cursor = page["next_cursor"]
            page = self.operator.get(f"/sales?queue={queue}&limit=50&cursor={cursor}")
            found += page["sales"] + page["messages"]
        return {
            each.get("sale_id") or each["message_id"]: each
            for each in found
            if each["station_id"] == self.station_id
        }


@contextmanager
def outpost(stack: LocalStack, operator: ApiClient, station_id: str) -> Iterator[Outpost]:
    """Register a station and connect as it."""
    credentials = register(operator, station_id, folder=stack.folder)
    with StationClient(stack, credentials, client_id=station_id, listens_to=station_id) as client:
        yield Outpost(
            station_id=station_id,
            client=client,
            pump=Pump(station_id),
            credentials=credentials,
            operator=operator,
        )


def register(operator: ApiClient, station_id: str, *, folder: Path) -> Credentials:
    """Register a station that has been open for some days."""
    return register_station(
        operator,
        station_id=station_id,
        name=station_id,
        zone=ZONE,
        grades=GRADES,
        open_since=datetime.now(UTC) - OPEN_FOR,
        folder=folder,
    )
