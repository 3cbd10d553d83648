"""The routes for what waits for a person: held, pending, unmatched sales, quarantined messages."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from forecourt.callers import Permission
from forecourt.cursors import MAX_CURSOR_LENGTH, make_cursor, read_cursor
from forecourt.decisions import Decision
from forecourt.doors import Door
from forecourt.errors import SaleNotHeld
from forecourt.evidence import evidence_from_document
from forecourt.identity import mask
from forecourt.instants import format_instant
from forecourt.once import Answer
from forecourt.sales_table import SalesTable
from forecourt.sealing import Sealer
from forecourt.stored_baskets import ToldBasket
from forecourt.stored_messages import QuarantinedMessage
from forecourt.stored_sales import Queue, Status, StoredSale
from functions.operator.bodies import DecidedView, QueueView, ReviewedSaleView

PAGE = 20
PAGE_MAX = 50  # each sale's evidence is unsealed one by one
TAG = "sales"

SaleId = Annotated[
    str, Path(max_length=128, examples=["20261123T081500Z.s0001.SN4711.3.4711.123456789"])
]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
Cursor = Annotated[str | None, Query(max_length=MAX_CURSOR_LENGTH)]


class ReviewRoutes:
    """The routes, the sales, and what opens their evidence."""

    def __init__(
        self, *, door: Door, sales: SalesTable, sealer: Sealer, now: Callable[[], datetime]
    ) -> None:
        self._door = door
        self._sales = sales
        self._sealer = sealer
        self._now = now
        for method, path, route in (
            ("GET", "/sales", self.list_queue),
            ("GET", "/sales/<sale_id>", self.show_sale),
            ("POST", "/sales/<sale_id>/release", self.release),
            ("POST", "/sales/<sale_id>/rejection", self.reject),
        ):
            door.add(method, path, route, tag=TAG, status=200)

    def list_queue(
        self, queue: Annotated[Queue, Query()], limit: Limit = PAGE, cursor: Cursor = None
    ) -> Response[QueueView]:
        """List what waits in a queue, oldest first; evidence is masked."""
        caller = self._door.caller
        caller.require(Permission.READ_QUEUES)
        scope = f"sales/{queue}"
        start_key = None
        if cursor is not None:
            names = ("pk", "sk", "queued_at")
            position = read_cursor(cursor, scope=scope, parts=len(names))
            start_key = {**dict(zip(names, position, strict=True)), "queue": str(queue)}
        page = self._sales.queue(queue, limit=limit, start_key=start_key)
        opens = caller.may(Permission.READ_EVIDENCE)
        last = page.next_key
        return self._door.show(
            {
                "sales": [
                    self._sale(each, opens=opens)
                    for each in page.items
                    if isinstance(each, StoredSale)
                ],
                "messages": [
                    _message(each) for each in page.items if isinstance(each, QuarantinedMessage)
                ],
                "next_cursor": (
                    make_cursor([last["pk"], last["sk"], last["queued_at"]], scope=scope)
                    if last
                    else None
                ),
            }
        )

    def show_sale(self, sale_id: SaleId) -> Response[ReviewedSaleView]:
        """Show a sale with its evidence, masked, and why it is whose."""
        caller = self._door.caller
        caller.require(Permission.READ_QUEUES)
        stored = self._sales.sale(sale_id)
        return self._door.show(self._sale(stored, opens=caller.may(Permission.READ_EVIDENCE)))

    def release(self, sale_id: SaleId) -> Response[DecidedView]:
        """Let a held sale go its way: it is matched and earns like any other."""
        return self._decide(sale_id, "released", self._sales.release)

    def reject(self, sale_id: SaleId) -> Response[DecidedView]:
        """Keep a held sale from ever earning."""
        return self._decide(sale_id, "rejected", self._sales.reject)

    def _decide(
        self, sale_id: str, decision: str, decide: Callable[..., None]
    ) -> Response[DecidedView]:
        caller = self._door.caller
        caller.require(Permission.DECIDE_SALES)

        def perform() -> Answer:
            try:
                decide(sale_id, actor=caller.subject, decided_at=self._now())
            except SaleNotHeld:
                # The caller's own earlier decision is what a retry finds.
                stored = self._sales.sale(sale_id)
                if (stored.decided_by, decision_on(stored)) != (caller.subject, decision):
                    raise
            return Answer(
                status=200,
                body={"sale_id": sale_id, "decision": decision, "decided_by": caller.subject},
            )

        return self._door.once(perform)

    def _sale(self, stored: StoredSale, *, opens: bool) -> dict[str, Any]:
        sale = stored.sale
        return {
            "sale_id": sale.sale_id,
            "station_id": sale.key.station_id,
            "nozzle": sale.key.nozzle,
            "grade": sale.grade,
            "volume_ml": sale.volume_ml,
            "amount_fen": sale.amount_fen,
            "unit_price_milli_per_litre": sale.unit_price_milli_per_litre,
            "started_at": _text(sale.started_at),
            "completed_at": format_instant(sale.key.completed_at),
            "recorded_at": format_instant(sale.recorded_at),
            "received_at": format_instant(stored.received_at),
            "clock_offset_seconds": sale.clock_offset_seconds,
            "clock_synchronised": sale.clock_synchronised,
            "test_delivery": sale.test_delivery,
            "status": str(stored.status),
            "doubts": list(stored.doubts),
            "undecided_because": stored.undecided_because,
            "decided_at": _text(stored.decided_at),
            "decided_by": stored.decided_by,
            "evidence": [
                {
                    "kind": str(each.key.kind),
                    "confidence": each.confidence,
                    "source": each.source,
                }
                for each in stored.evidence
            ],
            "observed": self._observed(stored) if opens else None,
            "weighed": _weighed(stored.decision) if stored.decision else None,
            "members": [each.share.member_id for each in stored.held],
            "claimed_by": sorted(stored.claimed_by),
            "denied_by": sorted(stored.denied_by),
            "rulings": stored.ruled.ruling.number if stored.ruled else 0,
            "receipt": _receipt(stored.basket) if stored.basket else None,
        }

    def _observed(self, stored: StoredSale) -> list[dict[str, str]]:
        return [
            {"kind": str(each.kind), "masked": mask(each.value)}
            for name, sealed in stored.sealed_values
            for each in evidence_from_document(self._sealer.open(sealed, context={"sale_id": name}))
        ]


def decision_on(stored: StoredSale) -> str:
    """Return what was decided about a sale that was held once."""
    return "rejected" if stored.status is Status.REJECTED else "released"


def _weighed(decision: Decision) -> dict[str, Any]:
    return {
        "outcome": str(decision.outcome),
        "weights_version": decision.weights_version,
        "member_id": decision.member_id,
        "posterior_ppm": decision.posterior_ppm,
        "reason": str(decision.reason) if decision.reason else None,
        "pieces": [
            {"field": each.field, "level": each.level, "centibits": each.centibits}
            for each in decision.pieces
        ],
        "alternatives": [
            {"member_id": member_id, "posterior_ppm": posterior_ppm}
            for member_id, posterior_ppm in decision.alternatives
        ],
    }


def _receipt(told: ToldBasket) -> dict[str, Any]:
    return {
        "telling_id": told.telling_id,
        "lines": [
            {"category": str(each.category), "amount_fen": each.amount_fen}
            for each in told.basket.lines
        ],
        "payments": [
            {"by": str(each.by), "amount_fen": each.amount_fen} for each in told.basket.payments
        ],
    }


def _message(message: QuarantinedMessage) -> dict[str, Any]:
    return {
        "station_id": message.station_id,
        "message_id": message.message_id,
        "topic": message.topic,
        "reason": message.reason,
        "field": message.field,
        "size_bytes": len(message.payload),
        "received_at": format_instant(message.received_at),
    }


def _text(instant: datetime | None) -> str | None:
    return format_instant(instant) if instant else None
