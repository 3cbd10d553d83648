"""The routes by which a member gives points to another, or changes them into another wallet's."""

from aws_lambda_powertools.event_handler import Response

from forecourt.callers import Permission
from forecourt.errors import ReceiverCannot, UnknownRate
from forecourt.ledger.commands import Convert, Transfer
from forecourt.ledger.refusals import (
    AccountFrozen,
    AccountMerged,
    CeilingExceeded,
    LedgerRefusal,
)
from forecourt.once import Answer
from functions.redemption.bodies import (
    ConversionOrder,
    ConvertedView,
    OfAWallet,
    RedeemedView,
    TransferOrder,
    redeemed,
)
from functions.redemption.counter import TAG, Counter, MemberId


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
        counter.require_recent(body.asked_at)

        def perform() -> Answer:
            counter.require_other(body.to)
            purse = counter.purse(member_id, OfAWallet(wallet=body.wallet))
            given = Transfer(
                entry_id=counter.name(str(body.purpose), body.asked_at),
                owner=member_id,
                wallet=body.wallet,
                receiver=body.to,
                points=body.points,
                purpose=body.purpose,
                source=f"app:{counter.door.request_id[:16]}",
                reason=str(body.purpose),
                actor=caller.subject,
                occurred_at=body.asked_at,
            )
            try:
                entry = counter.post(given, purse)
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
        counter.require_recent(body.asked_at)

        def perform() -> Answer:
            program = counter.keeping.program(counter.now())
            rate = program.rates.get((body.wallet, body.into_wallet))
            if rate is None:
                raise UnknownRate(wallet=body.wallet, into_wallet=body.into_wallet)
            purse = counter.purse(member_id, OfAWallet(wallet=body.wallet))
            today = counter.day(body.asked_at, body.into_wallet)
            changed = Convert(
                entry_id=counter.name("conversion", body.asked_at),
                owner=member_id,
                wallet=body.wallet,
                into_wallet=body.into_wallet,
                points=body.points,
                gives=rate.gives,
                per=rate.per,
                expires_on=program.terms(body.into_wallet).dates(today)[1],
                source=f"app:{counter.door.request_id[:16]}",
                reason="conversion",
                actor=caller.subject,
                occurred_at=body.asked_at,
                program_version=program.version,
            )
            given = counter.post(changed, purse)
            gained = body.points // rate.per * rate.gives
            return Answer(
                status=201,
                body={
                    "given": redeemed(given),
                    "into_wallet": body.into_wallet,
                    "gained": gained,
                },
            )

        return counter.door.once(perform)


def is_about_the_receiver(refusal: LedgerRefusal, *, giver: str) -> bool:
    """Return whether a transfer was refused for what the receiver has or is: not for *giver*."""
    if isinstance(refusal, AccountFrozen | AccountMerged):
        return refusal.owner != giver
    return isinstance(refusal, CeilingExceeded)  # no wallet is too full to give
