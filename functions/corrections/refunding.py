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
from forecourt.ledger import Entry, EntryKind
from forecourt.ledger.commands import Line, Part, Remainder, Reverse, Share
from forecourt.ledger.refusals import NothingToReverse
from forecourt.once import Answer
from forecourt.programs import Programs
from forecourt.sales import Sale
from forecourt.sales_table import SalesTable
from forecourt.stored_sales import StoredSale
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
        take back exactly what was earned; the amount is that of the whole receipt, where a till
        told one. What is spent by then becomes a debt, unless the program says otherwise. Growth
        value of the sale goes in the same proportion.
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
            part = part_of(stored, body)
            member_id, entry_id = held.share.member_id, held.entry_id
            owners = self._desk.loyalty.owners(member_id)
            made = self._desk.loyalty.made(owners, entry_id)
            lies_with = made[0] if made else member_id
            refund = Reverse(
                entry_id=refund_id_for(sale_id, body),
                owner=owners[-1],
                reverses=entry_id,
                reverses_owner=lies_with if lies_with != owners[-1] else None,
                document=body.document,
                part=part,
                source=f"refund:{body.document}",
                reason=body.reason,
                actor=caller.subject,
                occurred_at=body.refunded_at,
            )
            added = self._added(stored, owners) if body.line is None else None
            entries = self._take_back([refund, *_also(refund, added)], held.share, stored.sale)
            return Answer(status=201, body=posted(*entries))

        return self._desk.door.once(perform)

    def _added(self, stored: StoredSale, owners: list[str]) -> Entry | None:
        """Return the entry by which a receipt that came late added to what the sale earned."""
        told, entry_id = stored.basket, stored.held[0].entry_id
        if told is None or entry_id not in told.after:
            return None
        made = self._desk.loyalty.made(owners, told.difference_id(entry_id))
        entry = made[1] if made else None
        return entry if entry is not None and entry.kind is EntryKind.EARN else None

    def _take_back(self, refunds: list[Reverse], share: rulings.Share, sale: Sale) -> list[Entry]:
        """Take the points back, then the growth value; return the points' entries if there are."""
        entries, nothing = [], None
        for each in refunds:
            try:
                entries.append(self._desk.post(each))
            except NothingToReverse as refusal:
                nothing = refusal  # the fuel may have earned nothing, and what was with it did
        if self._has_growth(share, sale):
            policies = self._desk.keeping.program(self._desk.now()).policies()
            growing = Growing(ledger=self._desk.ledger, policies=policies)
            took = growing.take_back(refunds[0])
            # A sale may be worth growth value and no points.
            if took is not None and not entries:
                return [took]
        if nothing is not None and not entries:
            raise nothing
        return entries

    def _has_growth(self, share: rulings.Share, sale: Sale) -> bool:
        program = self._programs.at(sale.key.completed_at)
        part = replace(sale, volume_ml=share.volume_ml, amount_fen=share.amount_fen)
        return program is not None and growth_of(program, part) is not None


def _also(refund: Reverse, added: Entry | None) -> list[Reverse]:
    """Return what takes the same part back of what a late receipt added."""
    if added is None:
        return []
    further = replace(
        refund,
        entry_id=f"{refund.entry_id}.basket",
        reverses=added.entry_id,
        reverses_owner=added.member_id if added.member_id != refund.owner else None,
    )
    return [further]


def refund_id_for(sale_id: str, refund: RefundOrder) -> str:
    """Return the id of the entry that a refund becomes, whoever sends it and however often."""
    named = hashlib.sha256(f"{sale_id}\n{refund.document}".encode("utf-8", "surrogatepass"))
    return f"{compact_instant(refund.refunded_at)}.refund.{named.hexdigest()[:16]}"


def part_of(stored: StoredSale, refund: RefundOrder) -> Part:
    """Return which part of what a sale earned a refund takes back."""
    if refund.line is not None:
        return Line(item=refund.line)
    if refund.amount_fen is None:
        return Remainder()
    if refund.amount_fen > stored.paid_fen:
        finding = {"at": "/body/amount_fen", "reason": "more_than_was_sold"}
        raise InvalidRequest(findings=[finding])
    return Share(part=refund.amount_fen, whole=stored.paid_fen)
