"""The route that takes back what a sale earned, because the sale was refunded."""

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path

from forecourt import rulings
from forecourt.callers import Permission
from forecourt.errors import InvalidRequest, SaleNotCredited, SaleShared
from forecourt.growing import Growing
from forecourt.growth import growth_of
from forecourt.instants import compact_instant
from forecourt.ledger import Entry
from forecourt.ledger.commands import Line, Part, Remainder, Reverse, Share
from forecourt.ledger.refusals import NothingToReverse
from forecourt.once import Answer
from forecourt.programs import Programs
from forecourt.rulings import Holding
from forecourt.sales import Sale
from forecourt.sales_table import SalesTable
from functions.corrections.bodies import PostedView, RefundOrder, posted
from functions.corrections.desk import TAG, Desk

CLOCK_MAY_BE_AHEAD = timedelta(minutes=10)  # a till's, before its refund is taken for a mistake

SaleId = Annotated[
    str, Path(max_length=128, examples=["20261123T081500Z.s0001.SN4711.3.4711.123456789"])
]


class RefundRoutes:
    def __init__(self, desk: Desk, *, sales: SalesTable) -> None:
        self._desk = desk
        self._sales = sales
        self._programs = Programs(desk.loyalty)
        desk.door.add("POST", "/sales/<sale_id>/refunds", self.refund_sale, tag=TAG, status=201)

    def refund_sale(self, sale_id: SaleId, body: RefundOrder) -> Response[PostedView]:
        """
        Take back what a sale earned, wholly or in part, as the program's policy says.

        Shares of the amount add up before they are rounded, so refunds that make up the whole
        take back exactly what was earned. What is spent by then becomes a debt, unless the
        program says otherwise. Growth value of the sale goes in the same proportion.
        """
        caller = self._desk.door.caller
        caller.require(Permission.REFUND_POINTS)
        if body.refunded_at > self._desk.now() + CLOCK_MAY_BE_AHEAD:
            raise InvalidRequest(findings=[{"at": "/body/refunded_at", "reason": "in_future"}])
        if body.amount_fen is not None and body.line is not None:
            raise InvalidRequest(findings=[{"at": "/body/line", "reason": "beside_an_amount"}])

        def perform() -> Answer:
            stored = self._sales.sale(sale_id)
            if not stored.held:
                raise SaleNotCredited(sale_id=sale_id, status=str(stored.status))
            if len(stored.held) > 1:
                raise SaleShared(sale_id=sale_id, members=len(stored.held))
            (held,) = stored.held
            part = part_of(stored.sale, body)
            member_id, entry_id = held.share.member_id, held.entry_id
            now_with = self._now_with(member_id)
            refund = Reverse(
                entry_id=refund_id_for(sale_id, body),
                owner=now_with,
                reverses=entry_id,
                reverses_owner=member_id if now_with != member_id else None,
                document=body.document,
                part=part,
                source=f"refund:{body.document}",
                reason=body.reason,
                actor=caller.subject,
                occurred_at=body.refunded_at,
            )
            return Answer(status=201, body=posted(self._take_back(refund, held, stored.sale)))

        return self._desk.door.once(perform)

    def _take_back(self, refund: Reverse, held: Holding, sale: Sale) -> Entry:
        """Take the points back, then the growth value; return the points' entry if there is one."""
        if not self._has_growth(held.share, sale):
            return self._desk.post(refund)
        policies = self._desk.keeping.program(self._desk.now()).policies()
        growing = Growing(ledger=self._desk.ledger, policies=policies)
        try:
            entry = self._desk.post(refund)
        except NothingToReverse:
            # A sale may be worth growth value and no points.
            took = growing.take_back(refund)
            if took is None:
                raise
            return took
        growing.take_back(refund)
        return entry

    def _has_growth(self, share: rulings.Share, sale: Sale) -> bool:
        program = self._programs.at(sale.key.completed_at)
        part = replace(sale, volume_ml=share.volume_ml, amount_fen=share.amount_fen)
        return program is not None and growth_of(program, part) is not None

    def _now_with(self, member_id: str) -> str:
        """Return who has the member's points by now: accounts are merged."""
        while (into := self._desk.loyalty.account(member_id).merged_into) is not None:
            member_id = into
        return member_id


def refund_id_for(sale_id: str, refund: RefundOrder) -> str:
    """Return the id of the entry that a refund becomes, whoever sends it and however often."""
    named = hashlib.sha256(f"{sale_id}\n{refund.document}".encode("utf-8", "surrogatepass"))
    return f"{compact_instant(refund.refunded_at)}.refund.{named.hexdigest()[:16]}"


def part_of(sale: Sale, refund: RefundOrder) -> Part:
    """Return which part of what *sale* earned a refund takes back."""
    if refund.line is not None:
        return Line(item=refund.line)
    if refund.amount_fen is None:
        return Remainder()
    if refund.amount_fen > sale.amount_fen:
        finding = {"at": "/body/amount_fen", "reason": "more_than_was_sold"}
        raise InvalidRequest(findings=[finding])
    return Share(part=refund.amount_fen, whole=sale.amount_fen)
