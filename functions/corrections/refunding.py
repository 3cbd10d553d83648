"""The route that takes back what a sale earned, because the sale was refunded."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path

from forecourt import rulings
from forecourt.by_line import earned_by_line
from forecourt.callers import Permission
from forecourt.errors import (
    ForecourtError,
    InvalidRequest,
    SaleNotCredited,
    SaleShared,
    StaleWrite,
)
from forecourt.growing import Growing
from forecourt.growth import growth_entry_id, growth_of
from forecourt.instants import compact_instant
from forecourt.ledger import Entry, EntryKind
from forecourt.ledger.commands import Line, Part, Remainder, Reverse, Share
from forecourt.ledger.procedure import EntryKey
from forecourt.ledger.refusals import AccountMerged, NothingToReverse
from forecourt.once import Answer
from forecourt.programs import Programs
from forecourt.sales import Sale
from forecourt.sales_table import SalesTable
from forecourt.stored_baskets import refunded_before
from forecourt.stored_sales import StoredSale
from forecourt.told_times import require_plausible
from functions.corrections.bodies import PostedView, RefundOrder, posted
from functions.corrections.desk import TAG, Desk

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
        told one. A `line` takes back what that line earned, as far as it is left. What is spent
        by then becomes a debt, unless the program says otherwise. Growth value of the sale goes
        in the same proportion, and by line not at all.
        """
        caller = self._desk.door.caller
        caller.require(Permission.REFUND_POINTS)
        require_plausible(body.refunded_at, field="refunded_at", now=self._desk.now())
        if body.amount_fen is not None and body.line is not None:
            raise InvalidRequest(findings=[{"at": "/body/line", "reason": "beside_an_amount"}])

        def perform() -> Answer:
            stored = self._sales.sale(sale_id)
            had = [each.share.member_id for each in stored.held]
            moved = stored.ruled.moved if stored.ruled else ()
            former = {each.share.member_id for each in moved}.difference(had)
            entries = self._refunded_before(former, sale_id, body)
            if not entries:
                try:
                    entries = self._refund(stored, body)
                except ForecourtError:
                    entries = self._refunded_before(had, sale_id, body)
                    if not entries:
                        raise
            return Answer(status=201, body=posted(*entries))

        return self._desk.door.once(perform)

    def _refunded_before(
        self, members: Iterable[str], sale_id: str, body: RefundOrder
    ) -> list[Entry]:
        """Return what the refund took back from one of *members* before; raise what refused it."""
        desk, refund_id = self._desk, refund_id_for(sale_id, body)
        for owner in (each for member_id in members for each in desk.loyalty.owners(member_id)):
            key = EntryKey(owner, refund_id)
            first = desk.ledger.first_answer(key, request=desk.door.fingerprint)
            if first is None:
                continue
            added = desk.loyalty.judged([(owner, f"{refund_id}.basket")]).values()
            entries = [each for each in (first.entry, *added) if each is not None]
            return entries or [first.posted()]
        return []

    def _refund(self, stored: StoredSale, body: RefundOrder) -> list[Entry]:
        sale_id = stored.sale.sale_id
        if not stored.held:
            raise SaleNotCredited(sale_id=sale_id, status=str(stored.status))
        if len(stored.held) > 1:
            raise SaleShared(sale_id=sale_id, members=len(stored.held))
        try:
            return self._refund_now(stored, body)
        except AccountMerged:
            # Its member became one with another just now: so it is theirs to give back.
            return self._refund_now(stored, body)

    def _refund_now(self, stored: StoredSale, body: RefundOrder) -> list[Entry]:
        """Take the points back, then the growth value; return the points' entries if there are."""
        refund_id, (held,) = refund_id_for(stored.sale.sale_id, body), stored.held
        owners = self._desk.loyalty.owners(held.share.member_id)
        owner = self._desk.loyalty.answering(owners, refund_id)
        refund = Reverse(
            entry_id=refund_id,
            owner=owner,
            reverses=held.entry_id,
            reverses_owner=self._lies_with(owners, held.entry_id, owner),
            document=body.document,
            part=part_of(stored, body),
            source=f"refund:{body.document}",
            reason=body.reason,
            actor=self._desk.door.caller.subject,
            occurred_at=body.refunded_at,
            request=self._desk.door.fingerprint,
        )
        entries = self._take_back(stored, refund, owners)
        # Growth value is the whole sale's: no line has any of its own.
        if body.line is None and self._has_growth(held.share, stored.sale):
            policies = self._desk.keeping.program(self._desk.now()).policies()
            growing = Growing(ledger=self._desk.ledger, policies=policies)
            lies_with = self._lies_with(owners, growth_entry_id(held.entry_id), owner)
            took = growing.take_back(replace(refund, reverses_owner=lies_with))
            # A sale may be worth growth value and no points.
            if took is not None and not entries:
                return [took]
        if not entries:
            raise NothingToReverse(entry_id=held.entry_id)
        return entries

    def _take_back(self, stored: StoredSale, refund: Reverse, owners: list[str]) -> list[Entry]:
        """Take the points back, and behind them those that a receipt added when it came late."""
        told, (held,) = stored.basket, stored.held
        program = self._programs.at(stored.sale.key.completed_at)
        if told is None or program is None or held.entry_id not in told.after:
            return self._post(refund)
        made = self._desk.loyalty.made(owners, held.entry_id)
        settled = self._desk.loyalty.made(owners, told.difference_id(held.entry_id))
        if isinstance(refund.part, Line) and None in (made, settled):
            raise StaleWrite  # what its lines earn is on its way through accrual
        gave, added = (each[1] if each else None for each in (made, settled))
        first: Part | None = refund.part
        further = first
        match refund.part:
            case Line(item=number):
                sale, basket = part_of_sale(stored.sale, held.share), told.basket
                lines = earned_by_line(program, sale, basket, whole=stored.sale, gave=gave)
                first, further = _line(number, lines.first), _line(number, lines.further)
            case Share(part=amount_fen, whole=whole_fen) if added is not None:
                further = Share(part=amount_fen, whole=whole_fen - refunded_before(added))
        entries = self._post(replace(refund, part=first)) if first is not None else []
        if further is None or added is None or added.kind is not EntryKind.EARN:
            return entries
        if any(each.posted_at < added.posted_at for each in entries):
            return entries  # a repeat: the difference is less by it already
        also = replace(
            refund,
            entry_id=f"{refund.entry_id}.basket",
            reverses=added.entry_id,
            reverses_owner=added.member_id if added.member_id != refund.owner else None,
            part=further,
        )
        return [*entries, *self._post(also)]

    def _post(self, refund: Reverse) -> list[Entry]:
        """Post a refund; the fuel may have earned nothing, and what was with it did."""
        try:
            return [self._desk.post(refund)]
        except NothingToReverse:
            return []

    def _lies_with(self, owners: list[str], entry_id: str, owner: str) -> str | None:
        """Return which of *owners* has an entry, unless it is, or will be, *owner*."""
        made = self._desk.loyalty.made(owners, entry_id)
        lies_with = made[0] if made else owners[-1]
        return lies_with if lies_with != owner else None

    def _has_growth(self, share: rulings.Share, sale: Sale) -> bool:
        program = self._programs.at(sale.key.completed_at)
        return program is not None and growth_of(program, part_of_sale(sale, share)) is not None


def _line(number: str, items: Mapping[str, int]) -> Line | None:
    return Line(item=number, points=items[number]) if number in items else None


def refund_id_for(sale_id: str, refund: RefundOrder) -> str:
    """Return the id of the entry that a refund becomes, whoever sends it and however often."""
    named = hashlib.sha256(f"{sale_id}\n{refund.document}".encode("utf-8", "surrogatepass"))
    return f"{compact_instant(refund.refunded_at)}.refund.{named.hexdigest()[:16]}"


def part_of_sale(sale: Sale, share: rulings.Share) -> Sale:
    """Return what somebody has of *sale*, as a sale."""
    return replace(sale, volume_ml=share.volume_ml, amount_fen=share.amount_fen)


def part_of(stored: StoredSale, refund: RefundOrder) -> Part:
    """Return which part of what a sale earned a refund takes back."""
    if refund.line is not None:
        if stored.basket is None or refund.line > len(stored.basket.basket.lines):
            raise InvalidRequest(findings=[{"at": "/body/line", "reason": "no_such_line"}])
        return Line(item=str(refund.line))
    if refund.amount_fen is None:
        return Remainder()
    if refund.amount_fen > stored.paid_fen:
        finding = {"at": "/body/amount_fen", "reason": "more_than_was_sold"}
        raise InvalidRequest(findings=[finding])
    return Share(part=refund.amount_fen, whole=stored.paid_fen)
