"""The routes by which a person decides whose a sale is."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path

from forecourt.callers import Caller, Permission
from forecourt.doors import Door
from forecourt.once import Answer
from forecourt.ruled_sales import RuledSales
from forecourt.rulings import Ruling, Verdict, assign, decline, split
from forecourt.rulings_book import RulingsBook
from forecourt.sales_table import SalesTable
from forecourt.stored_sales import StoredSale
from functions.rulings.bodies import RuledView, RulingOrder, RulingsView, ruled

TAG = "rulings"

SaleId = Annotated[
    str, Path(max_length=128, examples=["20261123T081500Z.s0001.SN4711.3.4711.123456789"])
]


class RulingRoutes:
    """The routes, the sales, what writes a ruling down, and the book it is in."""

    def __init__(
        self,
        *,
        door: Door,
        sales: SalesTable,
        ruled: RuledSales,
        book: RulingsBook,
        now: Callable[[], datetime],
    ) -> None:
        self._door = door
        self._sales = sales
        self._ruled = ruled
        self._book = book
        self._now = now
        path = "/sales/<sale_id>/rulings"
        door.add("POST", path, self.rule_on_sale, tag=TAG, status=201)
        door.add("GET", path, self.list_rulings, tag=TAG, status=200)

    def rule_on_sale(self, sale_id: SaleId, body: RulingOrder) -> Response[RuledView]:
        """
        Decide whose a sale is: one member's, several members', nobody's, or ask a member.

        A sale somebody has is taken from them in the same step: their points are reversed and
        the others' given by the rules of the sale's day. What a person has decided, weighing no
        longer touches.
        """
        caller = self._door.caller
        caller.require(Permission.DECIDE_SALES)
        body.require_coherence()

        def decree(stored: StoredSale) -> Ruling:
            last = stored.ruled.ruling.number if stored.ruled else 0
            if stored.held and body.number > last:
                caller.require(Permission.REASSIGN_SALES)
            return ruling_by(caller, body, stored)

        def perform() -> Answer:
            applied = self._ruled.rule(sale_id, body.number, decree, ruled_at=self._now())
            return Answer(status=201, body=ruled(applied))

        return self._door.once(perform)

    def list_rulings(self, sale_id: SaleId) -> Response[RulingsView]:
        """List what was ruled about a sale, first to last: by whom, why, and what moved."""
        self._door.caller.require(Permission.READ_QUEUES)
        rulings = self._book.rulings(sale_id)
        if not rulings:
            self._sales.sale(sale_id)
        return self._door.show({"rulings": [ruled(each) for each in rulings]})


def ruling_by(caller: Caller, order: RulingOrder, stored: StoredSale) -> Ruling:
    """Return the ruling that *caller* makes about the sale *stored*."""
    sale_id, sale = stored.sale.sale_id, stored.sale
    audit = {"actor": caller.subject, "reason": order.reason}
    match order.verdict:
        case Verdict.ASSIGN if order.member_id is not None:
            return assign(
                sale_id,
                order.member_id,
                volume_ml=sale.volume_ml,
                amount_fen=sale.amount_fen,
                number=order.number,
                **audit,
            )
        case Verdict.SPLIT if order.parts is not None:
            return split(
                sale_id,
                order.parts,
                volume_ml=sale.volume_ml,
                amount_fen=sale.amount_fen,
                number=order.number,
                **audit,
            )
        case verdict:
            return decline(sale_id, verdict, asked=order.member_id, number=order.number, **audit)
