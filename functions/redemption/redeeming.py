"""
The routes that spend points: at once, or set aside by the member and taken by the till.

Who may set points aside is the member alone, in their app. An attendant takes what was set aside
and no more, so a number or a plate read out at the pump pays nothing.
"""

from datetime import timedelta
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from forecourt.booking_errors import UnknownHold
from forecourt.booking_fields import WALLET
from forecourt.callers import Permission
from forecourt.errors import InvalidRequest
from forecourt.instants import format_instant
from forecourt.ledger import Entry, Hold, settled
from forecourt.ledger.commands import Capture, Release, SetAside, Spend
from forecourt.ledger.entries import Lot
from forecourt.ledger.refusals import HoldNotOpen
from forecourt.ledger.spending import counter_of
from forecourt.once import Answer
from forecourt.pools import owner_of
from functions.redemption.bodies import (
    POOL_ID,
    CaptureOrder,
    HoldOrder,
    HoldView,
    OfAWallet,
    RedeemedView,
    RedemptionOrder,
    ReleaseOrder,
    SpendingOrder,
    redeemed,
    taken_view,
)
from functions.redemption.counter import TAG, Counter, MemberId, Purse

HoldId = Annotated[str, Path(max_length=64, examples=["20261123T081500Z.hold.9f86d081884c7d65"])]
WalletName = Annotated[str | None, Query(pattern=WALLET)]
PoolId = Annotated[str | None, Query(pattern=POOL_ID)]


class RedemptionRoutes:
    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        member = "/members/<member_id>"
        hold = f"{member}/holds/<hold_id>"
        for method, path, route, status in (
            ("POST", f"{member}/spendings", self.spend_points, 201),
            ("POST", f"{member}/holds", self.hold_points, 201),
            ("GET", hold, self.show_hold, 200),
            ("POST", f"{hold}/capture", self.capture_hold, 200),
            ("POST", f"{hold}/release", self.release_hold, 200),
        ):
            counter.door.add(method, path, route, tag=TAG, status=status)

    def spend_points(self, member_id: MemberId, body: SpendingOrder) -> Response[RedeemedView]:
        """Spend points at once: those that run out first, first."""
        counter, caller = self._counter, self._counter.door.caller
        member_id = caller.member_named(member_id, Permission.SPEND_POINTS)
        named = self._named("spend", member_id, body)

        def prepare() -> tuple[Spend, Purse]:
            purse = counter.purse(member_id, body)
            spend = Spend(**named, wallet=purse.wallet, points=body.points, spender=purse.spender)
            return spend, purse

        def perform() -> Answer:
            return Answer(status=201, body=redeemed(counter.carry_out(named, prepare)))

        return counter.door.once(perform)

    def hold_points(self, member_id: MemberId, body: HoldOrder) -> Response[HoldView]:
        """
        Set points aside for a till, which captures them by the hold's id.

        They cannot be spent meanwhile, and come back by themselves when the hold ends.
        """
        counter, caller = self._counter, self._counter.door.caller
        member_id = caller.member_named(member_id, Permission.SPEND_POINTS)
        named = self._named("hold", member_id, body)
        until = body.asked_at + timedelta(seconds=body.held_for_seconds)

        def prepare() -> tuple[SetAside, Purse]:
            if until <= counter.now():
                finding = {"at": "/body/held_for_seconds", "reason": "over"}
                raise InvalidRequest(findings=[finding])
            purse = counter.purse(member_id, body)
            hold = SetAside(
                **named,
                wallet=purse.wallet,
                points=body.points,
                hold_expires_at=until,
                spender=purse.spender,
            )
            return hold, purse

        def perform() -> Answer:
            entry = counter.carry_out(named, prepare)
            held = Hold(expires_at=until, lots=_held_by(entry))
            view = _hold_view(
                entry.entry_id,
                held,
                owner=entry.member_id,
                wallet=entry.wallet,
                pool_id=body.pool_id,
            )
            return Answer(status=201, body=view)

        return counter.door.once(perform)

    def show_hold(
        self,
        member_id: MemberId,
        hold_id: HoldId,
        wallet: WalletName = None,
        pool_id: PoolId = None,
    ) -> Response[HoldView]:
        """Show what is set aside, for the till that is about to take it."""
        counter = self._counter
        member_id = counter.door.caller.member_named(member_id, Permission.READ_HOLDS)
        purse = counter.purse(member_id, OfAWallet(wallet=wallet, pool_id=pool_id), spends=False)
        account = settled(purse.account, now=counter.now(), policies=purse.policies)
        hold = account.holds.get(hold_id)
        if hold is None or not _is_theirs(hold, purse):
            raise UnknownHold(hold_id)
        view = _hold_view(
            hold_id, hold, owner=account.member_id, wallet=account.wallet, pool_id=pool_id
        )
        return counter.door.show(view)

    def capture_hold(
        self, member_id: MemberId, hold_id: HoldId, body: CaptureOrder
    ) -> Response[RedeemedView]:
        """
        Take what a member set aside, or less; the rest goes back to its own last days.

        Once: whoever comes second, or after the hold has ended, is refused.
        """
        counter = self._counter
        member_id = counter.door.caller.member_named(member_id, Permission.CAPTURE_HOLDS)
        named = self._named("capture", member_id, body)

        def prepare() -> tuple[Capture, Purse]:
            purse = self._purse_with(member_id, hold_id, body)
            capture = Capture(**named, wallet=purse.wallet, hold_id=hold_id, points=body.points)
            return capture, purse

        def perform() -> Answer:
            return Answer(status=200, body=redeemed(counter.carry_out(named, prepare)))

        return counter.door.once(perform)

    def release_hold(
        self, member_id: MemberId, hold_id: HoldId, body: ReleaseOrder
    ) -> Response[RedeemedView]:
        """Give back what a member set aside, before the hold ends by itself."""
        counter = self._counter
        member_id = counter.door.caller.member_named(member_id, Permission.RELEASE_HOLDS)
        named = self._named("release", member_id, body)

        def prepare() -> tuple[Release, Purse]:
            purse = self._purse_with(member_id, hold_id, body)
            return Release(**named, wallet=purse.wallet, hold_id=hold_id), purse

        def perform() -> Answer:
            return Answer(status=200, body=redeemed(counter.carry_out(named, prepare)))

        return counter.door.once(perform)

    def _purse_with(self, member_id: str, hold_id: str, order: OfAWallet) -> Purse:
        """Return the account of a hold; of a pool's, the hold must be the member's."""
        purse = self._counter.purse(member_id, order, spends=False)
        hold = purse.account.holds.get(hold_id)
        # One that is not there may be captured already, by this very request: the ledger knows.
        if hold is not None and not _is_theirs(hold, purse):
            raise HoldNotOpen(hold_id=hold_id)
        return purse

    def _named(self, kind: str, member_id: str, order: RedemptionOrder) -> dict[str, Any]:
        owner = member_id if order.pool_id is None else owner_of(order.pool_id)
        told = {"source": order.source, "reason": order.reason}
        return self._counter.named(kind, owner, order) | told


def _is_theirs(hold: Hold, purse: Purse) -> bool:
    return purse.spender is None or hold.counter == counter_of(purse.spender)


def _held_by(entry: Entry) -> dict[Lot, int]:
    """Return the lots that *entry* set aside, in the order they were taken."""
    return {
        (leg.expires_on, leg.bonus): leg.points
        for leg in entry.legs
        if leg.hold_id == entry.entry_id
    }


def _hold_view(
    hold_id: str, hold: Hold, *, owner: str, wallet: str, pool_id: str | None
) -> dict[str, Any]:
    return {
        "hold_id": hold_id,
        "member_id": owner,
        "wallet": wallet,
        "pool_id": pool_id,
        "points": hold.points,
        "lots": taken_view(hold.lots.items()),
        "expires_at": format_instant(hold.expires_at),
    }
