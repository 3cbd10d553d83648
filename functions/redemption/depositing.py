"""
The routes that take money into a member's stored value, and pay it out again.

What is given on top follows from the program of the receipt's moment. A deposit itself earns no
points: what a receipt earns, the till tells and accrual judges (decision 30).
"""

from datetime import datetime
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path

from forecourt.booking_errors import UnknownWallet
from forecourt.callers import Permission
from forecourt.deposits import PRINCIPAL, bonus_for, principal_left
from forecourt.errors import InvalidRequest
from forecourt.instants import business_day
from forecourt.ledger import Entry
from forecourt.ledger.commands import Earn, Share
from forecourt.ledger.procedure import EntryKey
from forecourt.ledger.refusals import NotReversible
from forecourt.member_errors import UnknownEntry
from forecourt.once import KEPT, Answer
from forecourt.program import Program
from forecourt.programs import Programs
from forecourt.receiving import give
from forecourt.told_times import entry_id_for, require_plausible
from forecourt.wallets import STORED_VALUE_WALLET
from functions.redemption.counter import TAG, Counter, MemberId
from functions.redemption.deposit_bodies import (
    DepositOrder,
    DepositRefundOrder,
    DepositRefundView,
    DepositView,
    deposited,
    refunded,
)

DepositId = Annotated[
    str, Path(max_length=128, examples=["20261123T081500Z.deposit.9f86d081884c7d65"])
]


class DepositRoutes:
    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._programs = Programs(counter.loyalty)
        deposits = "/members/<member_id>/deposits"
        for path, route in (
            (deposits, self.deposit),
            (f"{deposits}/<entry_id>/refunds", self.refund_deposit),
        ):
            counter.door.add("POST", path, route, tag=TAG, status=201)

    def deposit(self, member_id: MemberId, body: DepositOrder) -> Response[DepositView]:
        """
        Take money into a member's stored value, with what the program gives on top.

        One receipt is one deposit. What would not fit under the wallet's ceiling is refused as a
        whole, and the facts say what fits.
        """
        counter, caller = self._counter, self._counter.door.caller
        member_id = caller.member_named(member_id, Permission.TAKE_DEPOSITS)

        receipt = f"{body.station_id}.{body.receipt}"
        key = EntryKey(member_id, entry_id_for("deposit", body.paid_at, receipt))

        def order() -> Earn:
            require_plausible(body.paid_at, field="paid_at", now=counter.now(), back=KEPT)
            program = self._program(body.paid_at)
            zone = program.policies().of(STORED_VALUE_WALLET).zone
            terms = program.terms(STORED_VALUE_WALLET)
            return Earn(
                entry_id=key.entry_id,
                owner=member_id,
                wallet=STORED_VALUE_WALLET,
                points=body.amount_fen,
                bonus=bonus_for(body.amount_fen, program.bonuses),
                items={PRINCIPAL: body.amount_fen},
                expires_on=terms.dates(business_day(body.paid_at, zone))[1],
                source=f"receipt:{receipt}",
                reason=body.reason,
                actor=caller.subject,
                occurred_at=body.paid_at,
                program_version=program.version,
                request=counter.door.fingerprint,
            )

        def perform() -> Answer:
            entry = give(
                key,
                order,
                request=counter.door.fingerprint,
                loyalty=counter.loyalty,
                ledger=counter.ledger,
                policies=counter.policies(),
            )
            return Answer(status=201, body=deposited(entry, paid_fen=body.amount_fen))

        return counter.door.once(perform)

    def refund_deposit(
        self, member_id: MemberId, entry_id: DepositId, body: DepositRefundOrder
    ) -> Response[DepositRefundView]:
        """
        Pay money of a deposit out again, as far as it is not spent.

        What was given on top is taken back in proportion; where it is spent, it is owed.
        """
        counter, caller = self._counter, self._counter.door.caller
        member_id = caller.member_named(member_id, Permission.REFUND_DEPOSITS)
        require_plausible(body.refunded_at, field="refunded_at", now=counter.now())

        def perform() -> Answer:
            made, owners = self._deposit(member_id, entry_id)
            if body.amount_fen > made.items[PRINCIPAL]:
                finding = {"at": "/body/amount_fen", "reason": "more_than_was_paid"}
                raise InvalidRequest(findings=[finding])
            entry = counter.refund(
                "refund",
                made,
                owners,
                body,
                part=Share(part=body.amount_fen, whole=made.items[PRINCIPAL]),
                policies=counter.policies().of_deposits(),
            )
            left_fen = principal_left(made, counter.ledger.reversals_of(made).reversed)
            view = refunded(entry, refunded_fen=body.amount_fen, left_fen=left_fen)
            return Answer(status=201, body=view)

        return counter.door.once(perform)

    def _program(self, at: datetime) -> Program:
        """Return the program of the receipt's moment; raise `UnknownWallet` where it has none."""
        program = self._programs.at(at)
        if program is None or STORED_VALUE_WALLET not in program.wallets:
            raise UnknownWallet(STORED_VALUE_WALLET)
        return program

    def _deposit(self, member_id: str, entry_id: str) -> tuple[Entry, list[str]]:
        """
        Return a deposit, and who had the wallet it went into, the last of them now.

        Raise `UnknownEntry`, or `NotReversible` for an entry of another kind.
        """
        owners = self._counter.loyalty.owners(member_id, wallet=STORED_VALUE_WALLET)
        made = self._counter.loyalty.made(owners, entry_id)
        entry = made[1] if made else None
        if entry is None:
            raise UnknownEntry(entry_id)
        if entry.wallet != STORED_VALUE_WALLET or PRINCIPAL not in entry.items:
            raise NotReversible(entry_id=entry_id, kind=str(entry.kind))
        return entry, owners
