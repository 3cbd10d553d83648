"""The route that takes back what a sale earned, because the sale was refunded."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path

from forecourt import rulings
from forecourt.by_line import earned_by_line
from forecourt.callers import Permission
from forecourt.errors import InvalidRequest, SaleNotCredited, SaleShared, StaleWrite
from forecourt.growing import Growing, rest_id
from forecourt.growth import growth_entry_id, growth_of
from forecourt.ledger import POINTS_WALLET, Entry, EntryKind
from forecourt.ledger import Answer as Answered
from forecourt.ledger.commands import Line, Part, Remainder, Reverse, Share
from forecourt.ledger.procedure import EntryKey
from forecourt.ledger.refusals import AccountMerged, LedgerRefusal, NothingToReverse
from forecourt.once import Answer
from forecourt.programs import Programs
from forecourt.rulings_book import RulingsBook
from forecourt.sales import Sale
from forecourt.sales_table import SalesTable
from forecourt.stored_baskets import refunded_before
from forecourt.stored_sales import StoredSale
from forecourt.told_times import entry_id_for, require_plausible
from forecourt.wallets import GROWTH_WALLET
from functions.corrections.bodies import PostedView, RefundOrder, posted
from functions.corrections.desk import TAG, Desk

SaleId = Annotated[
    str, Path(max_length=128, examples=["20261123T081500Z.s0001.SN4711.3.4711.123456789"])
]


class RefundRoutes:
    def __init__(self, desk: Desk, *, sales: SalesTable, book: RulingsBook) -> None:
        self._desk = desk
        self._sales = sales
        self._book = book
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
            had = {each.share.member_id for each in stored.held}
            entries = self._refunded_before(self._former(stored) - had, stored, body)
            if not entries:
                try:
                    entries = self._refund(stored, body)
                except (InvalidRequest, SaleNotCredited, SaleShared):
                    # By what is known of the sale now, and before anything was posted.
                    entries = self._refunded_before(had, stored, body)
                    if not entries:
                        raise
            return Answer(status=201, body=posted(*entries))

        return self._desk.door.once(perform)

    def _former(self, stored: StoredSale) -> set[str]:
        """Return who had a sale before, as far as people decided that it went to others."""
        if stored.ruled is None:
            return set()
        sale_id, last = stored.sale.sale_id, stored.ruled
        applied = [last] if last.ruling.number == 1 else self._book.rulings(sale_id)
        return {each.share.member_id for ruled in applied for each in ruled.moved}

    def _refunded_before(
        self, members: Iterable[str], stored: StoredSale, body: RefundOrder
    ) -> list[Entry]:
        """Return what the refund took back from one of *members* before; raise what refused it."""
        refund_id = refund_id_for(stored.sale.sale_id, body)
        growth_id = growth_entry_id(refund_id)
        for member_id in sorted(members):
            points = self._first_answers(member_id, (refund_id, difference_id(refund_id)))
            of_growth = (growth_id, rest_id(refund_id))
            growth = self._first_answers(member_id, of_growth, wallet=GROWTH_WALLET)
            for answers in (points, growth):
                entries = [each.entry for each in answers if each.entry is not None]
                if entries:
                    return entries
            # Of a sale without points the growth value may not have been come to.
            halfway = not growth and self._has_growth(stored, body)
            for first in points:
                if not (halfway and isinstance(first.refusal, NothingToReverse)):
                    first.posted()  # which raises the refusal
        return []

    def _first_answers(
        self, member_id: str, entry_ids: Iterable[str], *, wallet: str = POINTS_WALLET
    ) -> list[Answered]:
        """Return what the ledger answered to the parts of a refund that it was asked for."""
        desk = self._desk
        owners = desk.loyalty.owners(member_id, wallet=wallet)
        keys = [EntryKey(desk.loyalty.answering(owners, each), each) for each in entry_ids]
        answers = (desk.ledger.first_answer(key, request=desk.door.fingerprint) for key in keys)
        return [each for each in answers if each is not None]

    def _refund(self, stored: StoredSale, body: RefundOrder) -> list[Entry]:
        """Take the points back, then the growth value; return the points' entries if there are."""
        sale_id = stored.sale.sale_id
        if not stored.held:
            raise SaleNotCredited(sale_id=sale_id, status=str(stored.status))
        if len(stored.held) > 1:
            raise SaleShared(sale_id=sale_id, members=len(stored.held))
        (held,) = stored.held
        refund = Reverse(
            entry_id=refund_id_for(sale_id, body),
            owner=held.share.member_id,
            reverses=held.entry_id,
            document=body.document,
            part=part_of(stored, body),
            source=f"refund:{body.document}",
            reason=body.reason,
            actor=self._desk.door.caller.subject,
            occurred_at=body.refunded_at,
            request=self._desk.door.fingerprint,
        )
        entries = self._take_back(stored, refund)
        if self._has_growth(stored, body):
            took = self._behind(entries, lambda: self._take_growth_back(refund))
            # A sale may be worth growth value and no points.
            entries = entries or took
        if not entries:
            raise NothingToReverse(entry_id=held.entry_id)
        return entries

    def _take_back(self, stored: StoredSale, refund: Reverse) -> list[Entry]:
        """Take the points back, and behind them those that a receipt added when it came late."""
        told, (held,) = stored.basket, stored.held
        program = self._programs.at(stored.sale.key.completed_at)
        if told is None or program is None or held.entry_id not in told.after:
            return self._behind([], lambda: self._post(refund))
        owners = self._desk.loyalty.owners(refund.owner)
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
        entries: list[Entry] = []
        if first is not None:
            of_first = replace(refund, part=first)
            entries = self._behind(entries, lambda: self._post(of_first))
        if further is None or added is None or added.kind is not EntryKind.EARN:
            return entries
        if any(each.posted_at < added.posted_at for each in entries):
            return entries  # a repeat: the difference is less by it already
        entry_id = difference_id(refund.entry_id)
        also = replace(refund, entry_id=entry_id, reverses=added.entry_id, part=further)
        return entries + self._behind(entries, lambda: self._post(also))

    def _behind(self, entries: list[Entry], post: Callable[[], Entry | None]) -> list[Entry]:
        """
        Return what *post* posts of a refund of which *entries* are posted; maybe it is nothing.

        The fuel may have earned nothing, and what was with it did. A document that had its effect
        is not refused because of a part of it.
        """
        try:
            entry = post()
        except AccountMerged:
            raise
        except LedgerRefusal as refusal:
            if not entries and not isinstance(refusal, NothingToReverse):
                raise
            return []
        return [entry] if entry is not None else []

    def _post(self, refund: Reverse) -> Entry:
        try:
            return self._desk.post(self._aimed(refund))
        except AccountMerged:
            # Its member became one with another just now: so it is theirs to give back.
            return self._desk.post(self._aimed(refund))

    def _take_growth_back(self, refund: Reverse) -> Entry | None:
        policies = self._desk.keeping.program(self._desk.now()).policies()
        growing = Growing(ledger=self._desk.ledger, policies=policies)
        try:
            return growing.take_back(self._aimed(refund, wallet=GROWTH_WALLET))
        except AccountMerged:
            return growing.take_back(self._aimed(refund, wallet=GROWTH_WALLET))

    def _aimed(self, refund: Reverse, *, wallet: str = POINTS_WALLET) -> Reverse:
        """
        Return *refund*, or what goes with it in another *wallet*, as one of whoever has it by now.

        Two members become one wallet by wallet, so each part of a refund is looked up by itself;
        one that has its answer stays where it has it.
        """
        loyalty, named = self._desk.loyalty, (refund.entry_id, refund.reverses)
        entry_id, reverses = map(growth_entry_id, named) if wallet == GROWTH_WALLET else named
        owners = loyalty.owners(refund.owner, wallet=wallet)
        owner = loyalty.answering(owners, entry_id)
        made = loyalty.made(owners, reverses)
        lies_with = made[0] if made else owners[-1]
        return replace(
            refund, owner=owner, reverses_owner=lies_with if lies_with != owner else None
        )

    def _has_growth(self, stored: StoredSale, body: RefundOrder) -> bool:
        """Return whether growth value goes with a refund: it is the whole sale's, and no line's."""
        program = self._programs.at(stored.sale.key.completed_at)
        if program is None or body.line is not None:
            return False
        return any(
            growth_of(program, part_of_sale(stored.sale, each.share)) is not None
            for each in stored.held
        )


def _line(number: str, items: Mapping[str, int]) -> Line | None:
    return Line(item=number, points=items[number]) if number in items else None


def refund_id_for(sale_id: str, refund: RefundOrder) -> str:
    """Return the id of the entry that a refund becomes, whoever sends it and however often."""
    return entry_id_for("refund", refund.refunded_at, sale_id, refund.document)


def difference_id(refund_id: str) -> str:
    """Return the id of the entry that takes back what a receipt added when it came late."""
    return f"{refund_id}.basket"


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
