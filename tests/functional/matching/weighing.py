"""Sales before matching: what was seen at them, how they reach it, and how one is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.inquiry import SHARED_MAX
from forecourt.sales import Evidence, EvidenceKind
from tests.functional.conftest import SALES_TABLE
from tests.specimens import CARD, sale

if TYPE_CHECKING:
    from forecourt.assignment import Assignment
    from forecourt.decisions import Decision
    from forecourt.stored_sales import StoredSale
    from tests.functional.world import World

OTHER = sale(transaction=4712, totalizer_ml=123_500_000)
PHONE = Evidence(kind=EvidenceKind.PHONE, value="13812345678", source="till")


def phone(value: str) -> Evidence:
    return Evidence(kind=EvidenceKind.PHONE, value=value, source="till")


def enrol_fleet(world: World) -> None:
    """Enrol as many drivers with one card as make a crowd of it."""
    for number in range(SHARED_MAX + 1):
        world.enrol(f"driver-{number}", CARD)


def received(world: World) -> list[dict[str, Any]]:
    return world.records(SALES_TABLE, status="received")


def decided(assignment: Assignment, stored: StoredSale) -> Decision | None:
    """Weigh and assign one sale, as the handler does for a batch."""
    (weighed,) = assignment.weigh([stored])
    return assignment.assign(stored, weighed)
