"""Somebody with an app, a card and a car."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from forecourt.sales import EvidenceKind
from infra.local.api_client import ApiClient
from tests.e2e.pump import at_the_till, plate
from tests.e2e.traces import PREFIX
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from forecourt.sales import Evidence, Sale
    from infra.local.stack import LocalStack


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """A member with an app."""

    app: ApiClient
    member_id: str
    card: str

    def binds(self, value: str, kind: EvidenceKind = EvidenceKind.PLATE) -> str:
        """Bind a plate, or what else *kind* says; return the identity's id."""
        answer = self.app.post("/members/me/identities", {"kind": kind, "value": value})
        return str(answer["identity_id"])

    def comes_in(self, car: str) -> tuple[Evidence, Evidence]:
        """Return what is seen of the driver: the car, and the card at the till."""
        return plate(car), at_the_till(EvidenceKind.CARD, self.card)

    def checks_in(self, station_id: str) -> None:
        """Let the app say where the driver is."""
        self.app.post("/members/me/presence", {"station_id": station_id})

    @property
    def suggested(self) -> list[str]:
        return [each["sale_id"] for each in self.app.get("/members/me/suggestions")["sales"]]

    def said_of(self, sale: Sale) -> tuple[str, str | None] | None:
        """Return how a question about *sale* stands, and what the driver said."""
        questions = self.app.get("/members/me/questions")["questions"]
        return next(
            (
                (each["status"], each["says"])
                for each in questions
                if each["sale"]["sale_id"] == sale.sale_id
            ),
            None,
        )

    @property
    def points(self) -> int:
        return int(self.app.get("/members/me/points")["points"])

    def entry_for(self, sale: Sale) -> dict[str, Any] | None:
        """Return the entry a sale made, if it made one."""
        entries = self.app.get("/members/me/entries")["entries"]
        return next((each for each in entries if each["entry_id"] == sale.sale_id), None)

    def earned(self, sale: Sale) -> dict[str, Any]:
        """Wait for the entry a sale makes."""
        return wait_for(lambda: self.entry_for(sale)) or {}

    @property
    def sales(self) -> list[str]:
        return [each["sale_id"] for each in self.app.get("/members/me/sales")["sales"]]


def enrolled(stack: LocalStack) -> Driver:
    """Return somebody new, who enrolled from the app and bound a card."""
    username = f"{PREFIX}{secrets.token_hex(4)}"
    app = ApiClient(stack.api_url, stack.token("member", username))
    member_id = app.post("/members", {"name": "李雷"})["member_id"]
    driver = Driver(app=app, member_id=member_id, card=f"9{secrets.randbelow(10**15):015}")
    driver.binds(driver.card, EvidenceKind.CARD)
    return driver
