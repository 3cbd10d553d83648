"""The routes by which a member gives points to another, or changes them into another wallet's."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from forecourt.booking_errors import ReceiverCannot, UnknownRate
from forecourt.callers import Permission
from forecourt.ledger import Entry
from forecourt.ledger.commands import Convert, Transfer
from forecourt.ledger.entries import CONVERSION, RECEIVED
from forecourt.ledger.refusals import (
    AccountFrozen,
    AccountMerged,
    CeilingExceeded,
    LedgerRefusal,
)
from forecourt.once import Answer
from functions.redemption.bodies import (
    Asked,
    ConversionOrder,
    ConvertedView,
    OfAWallet,
    RedeemedView,
    TransferOrder,
    redeemed,
)
from functions.redemption.counter import TAG, Counter, MemberId, Purse


class GivingRoutes:
    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        member = "/members/<member_id>"
        for path, route in (
            (f"{member}/transfers", self.transfer_points),
            (f"{member}/conversions", self.convert_points),
        ):
            counter.door.add("POST", path, route, tag=TAG, status=201)

    def transfer_points(self, member_id: MemberId, body: TransferOrder) -> Response[RedeemedView]:
        """Give points to another member, as many in a day as the program allows."""
        counter, caller = self._counter, self._counter.door.caller
        member_id = caller.member_named(member_id, Permission.SPEND_POINTS)
        named = self._named(str(body.purpose), member_id, body, reason=str(body.purpose))

        def prepare() -> tuple[Transfer, Purse]:
            counter.require_other(body.to)
            given = Transfer(
                **named,
                wallet=body.wallet,
                receiver=body.to,
                points=body.points,
                purpose=body.purpose,
            )
            return given, counter.purse(member_id, OfAWallet(wallet=body.wallet))

        def perform() -> Answer:
            try:
                entry = counter.carry_out(named, prepare)
            except LedgerRefusal as refusal:
                if is_about_the_receiver(refusal, giver=member_id):
                    raise ReceiverCannot from None
                raise
            return Answer(status=201, body=redeemed(entry))

        return counter.door.once(perform)

    def convert_points(self, member_id: MemberId, body: ConversionOrder) -> Response[ConvertedView]:
        """Change points into a partner's, or back, by the program's rate; only whole steps."""
        counter, caller = self._counter, self._counter.door.caller
        member_id = caller.member_named(member_id, Permission.SPEND_POINTS)
        named = self._named("conversion", member_id, body, reason="conversion")

        def prepare() -> tuple[Convert, Purse]:
            program = counter.keeping.program(counter.now())
            rate = program.rates.get((body.wallet, body.into_wallet))
            if rate is None:
                raise UnknownRate(wallet=body.wallet, into_wallet=body.into_wallet)
            today = counter.day(body.asked_at, body.into_wallet)
            changed = Convert(
                **named,
                wallet=body.wallet,
                into_wallet=body.into_wallet,
                points=body.points,
                gives=rate.gives,
                per=rate.per,
                expires_on=program.terms(body.into_wallet).dates(today)[1],
                program_version=program.version,
            )
            return changed, counter.purse(member_id, OfAWallet(wallet=body.wallet))

        def perform() -> Answer:
            given = counter.carry_out(named, prepare)
            # By the rate it was made at, which need not be today's.
            gained = counter.loyalty.entry(member_id, f"{given.entry_id}{RECEIVED}")
            return Answer(
                status=201,
                body={
                    "given": redeemed(given),
                    "into_wallet": body.into_wallet,
                    "gained": gained_by(gained),
                },
            )

        return counter.door.once(perform)

    def _named(self, kind: str, member_id: str, asked: Asked, *, reason: str) -> dict[str, Any]:
        source = f"app:{self._counter.door.request_id[:16]}"
        return self._counter.named(kind, member_id, asked) | {"source": source, "reason": reason}


def gained_by(received: Entry) -> int:
    """Return what the other half of a conversion gained, what paid a debt included."""
    return -received.moved_to(CONVERSION)


def is_about_the_receiver(refusal: LedgerRefusal, *, giver: str) -> bool:
    """Return whether a transfer was refused for what the receiver has or is: not for *giver*."""
    if isinstance(refusal, AccountFrozen | AccountMerged):
        return refusal.owner != giver
    return isinstance(refusal, CeilingExceeded)  # no wallet is too full to give
